"""Warp images by affine transforms. Enlarged images are sharp, and reduced images are antialiased.

The run time depends on the size of the output and on the visible part of the source, but not on the size of the whole source.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_float
from ..errors import InputError, OptionError
from .box import Box, PixelBox, Size
from .similarity import affine_scale, check_affine, compose_affines, invert_affine, shift_affine, transform_points

_MIN_SHRINK = 1.01  # at smaller factors, the low-pass filter would change values by only a few thousandths
_DENSITY = 1.5  # samples per output pixel at which linear interpolation is sharp enough


def warp_affine(image: Tensor, affine: Tensor, size: Size) -> Tensor:
    """Warp ``image`` by ``affine`` (2, 3), which maps pixels of ``image`` to pixels of the output.

    Edge pixels are replicated outside the image. Images are enlarged with cubic interpolation (a = -0.75, like PyTorch and
    OpenCV). To reduce images, a low-pass filter is applied first. Linear ramps are accurate to a twentieth of a pixel. Sharp edges
    may overshoot by 11 % of their contrast, and sharp corners by 23 %. Gradients flow to the image.

    Args:
        image: (B, C, H, W) or (C, H, W), float, any range.
        affine: invertible float64 CPU tensor (2, 3).
        size: width and height of the output in pixels.

    Returns:
        The warped image, float32, on the device of ``image``.

    Raises:
        InputError: ``image`` has another shape or dtype, or ``affine`` is not invertible.
        OptionError: ``size`` is empty.
    """
    check_float(image, "image")
    check_affine(affine, "affine")
    if image.ndim not in (3, 4) or 0 in image.shape:
        raise InputError(f"image must have the shape (B, C, H, W) or (C, H, W), got {tuple(image.shape)}.")
    if min(size) < 1:
        raise OptionError(f"size must be at least 1 x 1 pixels, got {size.width} x {size.height}.")
    batch = image if image.ndim == 4 else image.unsqueeze(0)
    warped = _warp(batch, affine, size)
    return warped if image.ndim == 4 else warped.squeeze(0)


def output_box(affine: Tensor, size: Size) -> Box:
    """Return the bounding box, in output pixels, of an image of ``size`` transformed by ``affine``.

    The box includes the full area of the border pixels, so ``to_pixels`` covers every pixel that the image touches.
    """
    right, bottom = size.width - 0.5, size.height - 0.5
    corners = torch.tensor(
        [[-0.5, -0.5], [right, -0.5], [-0.5, bottom], [right, bottom]], dtype=torch.float64, device="cpu"
    )
    mapped = transform_points(affine, corners)
    (left, top), (right, bottom) = mapped.amin(0).tolist(), mapped.amax(0).tolist()
    return Box(left + 0.5, top + 0.5, right + 0.5, bottom + 0.5)


def _warp(batch: Tensor, affine: Tensor, size: Size) -> Tensor:
    output_to_source = invert_affine(affine)
    box = _source_box(output_to_source, size, Size.of(batch))
    shrink = _shrink(affine, Size.of(batch))
    step, radius = max(1, math.floor(shrink / _DENSITY)), _radius(shrink)
    before, after = radius + step, radius + 3 * step
    needed = PixelBox(box.left - before, box.top - before, box.right + after, box.bottom + after)
    if shrink > 1:
        patch = _crop_with_edge(batch, needed).float()
        patch = _decimate(_decimate(patch, shrink, step, dim=-2), shrink, step, dim=-1)
    else:  # sampling replicates the edge pixels
        needed = needed.within(Size.of(batch))
        patch = needed.cut(batch).float()
    to_patch = shift_affine(-needed.left - radius, -needed.top - radius) / step
    grid = _sampling_grid(compose_affines(output_to_source, to_patch), size, patch)
    return _sample(patch, grid, "bicubic" if shrink < _DENSITY else "bilinear")


def _shrink(affine: Tensor, source: Size) -> float:
    """Return the mean number of source pixels per output pixel along an axis, from 1 to a limit."""
    shrink = 1 / affine_scale(affine)
    if shrink < _MIN_SHRINK:
        return 1.0
    # The limit restricts the filter to 256 px, or to a quarter of the source's longer side if this is more. An image that is
    # reduced further is smaller than 16 px, so aliasing is invisible.
    return min(shrink, max(64.0, max(source) / 16))


def _radius(shrink: float) -> int:
    """Return the radius in pixels of the low-pass filter for ``shrink``."""
    return math.ceil(2 * shrink) - 1 if shrink > 1 else 0


def _source_box(output_to_source: Tensor, size: Size, source: Size) -> PixelBox:
    """Return the box of the source pixels that the output shows, or of the nearest edge pixels if it shows none."""
    box = output_box(output_to_source, size).to_pixels(source, margin=1)
    left, top = min(box.left, source.width - 1), min(box.top, source.height - 1)
    return PixelBox(left, top, max(box.right, left + 1), max(box.bottom, top + 1))


def _crop_with_edge(batch: Tensor, box: PixelBox) -> Tensor:
    """Crop ``box`` from ``batch``. Where the box extends beyond the image, edge pixels are replicated."""
    inside = box.within(Size.of(batch))
    missing = (inside.left - box.left, box.right - inside.right, inside.top - box.top, box.bottom - inside.bottom)
    patch = inside.cut(batch)
    return F.pad(patch, missing, mode="replicate") if any(missing) else patch


def _decimate(image: Tensor, shrink: float, step: int, dim: int) -> Tensor:
    """Low-pass filter ``image`` (B, C, H, W) along ``dim`` for ``shrink``, and keep every ``step``-th pixel.

    The kernel is symmetric around the kept pixels, so sample n lies at pixel n * step + radius.
    """
    radius = _radius(shrink)
    kernel = [_catmull_rom(x / shrink) for x in range(-radius, radius + 1)]
    total = math.fsum(kernel)
    count = (image.shape[dim] - len(kernel)) // step + 1
    decimated = _strided(image, step, 0, count, dim) * (kernel[0] / total)
    for offset, weight in enumerate(kernel[1:], start=1):
        decimated.add_(_strided(image, step, offset, count, dim), alpha=weight / total)
    return decimated


def _catmull_rom(x: float) -> float:
    # Keys' cubic kernel with a = -1/2, which reproduces linear and quadratic functions.
    x = abs(x)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return ((-0.5 * x + 2.5) * x - 4) * x + 2 if x < 2 else 0.0


def _strided(image: Tensor, step: int, start: int, count: int, dim: int) -> Tensor:
    """Return a view of ``count`` rows (``dim`` -2) or columns (``dim`` -1) of ``image`` at a distance of ``step`` pixels."""
    picked = slice(start, start + (count - 1) * step + 1, step)
    return image[..., picked, :] if dim == -2 else image[..., picked]


def _sample(patch: Tensor, grid: Tensor, mode: str) -> Tensor:
    """Sample ``patch`` (B, C, H, W) at the positions of ``grid`` (1, H', W', 2)."""
    if patch.device.type == "mps" and mode == "bicubic":  # not implemented for MPS
        return _sample(patch.cpu(), grid.cpu(), mode).to(patch.device)
    if patch.device.type == "cpu" and torch.get_num_threads() > 1:
        # PyTorch distributes the images of a batch, but not their channels, over threads.
        return _grid_sample(patch.flatten(0, 1)[:, None], grid, mode).view(*patch.shape[:2], *grid.shape[1:3])
    return _grid_sample(patch, grid, mode)


def _grid_sample(images: Tensor, grid: Tensor, mode: str) -> Tensor:
    grids = grid.expand(len(images), -1, -1, -1)
    return F.grid_sample(images, grids, mode=mode, padding_mode="border", align_corners=False)


def _sampling_grid(output_to_patch: Tensor, size: Size, patch: Tensor) -> Tensor:
    """Return the sampling grid (1, H, W, 2) for F.grid_sample, in which -1 and 1 are the outer edges of ``patch``."""
    width, height = Size.of(patch)
    to_unit = torch.tensor(
        [[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1]], dtype=torch.float64, device="cpu"
    )
    (xx, xy, x0), (yx, yy, y0) = compose_affines(output_to_patch, to_unit).tolist()
    # Some MPS devices do not support complex numbers.
    device = torch.device("cpu") if patch.device.type == "mps" else patch.device
    across = torch.arange(size.width, dtype=torch.float32, device=device)
    down = torch.arange(size.height, dtype=torch.float32, device=device)[:, None]
    # As complex numbers x + iy, both coordinates are computed in one pass and interleaved as grid_sample expects.
    grid = torch.view_as_real(across * complex(xx, yx) + (down * complex(xy, yy) + complex(x0, y0)))
    return grid[None].to(patch.device)
