"""Add the photo's grain to restored faces, because generators remove it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..faces.align import AlignedFace
from ..images.box import PixelBox, Size
from ..images.warp import output_box
from ..networks.inference.autocast import without_autocast
from .paste import PasteResult

_BLOCK = 16  # side in pixels of the blocks in which grain is measured
_SMALL_BLOCK = 8  # for faces with few blocks of the normal size
_MIN_BLOCKS = 12  # minimum number of usable blocks; with fewer, smaller blocks are tried
# Blocks between these quantiles of the variance are flat. Blocks with more variance contain edges or hair, and blocks with less
# variance have little grain by chance.
_FLAT_QUANTILES = (0.1, 0.5)
_CLIPPING_MARGIN = 0.03  # grain is clipped if the brightness is closer than this to black or white


@dataclass(frozen=True, eq=False)
class Grain:
    """Statistics of grain: the covariance (C, C) of its channels, and the kernel (1, 1, K, K) that turns white noise into grain."""

    covariance: Tensor
    kernel: Tensor

    def draw(self, size: Size, seed: int) -> Tensor:
        """Return grain (C, H, W) of ``size`` with a mean of 0, on the CPU. Equal seeds give equal grain."""
        side = self.kernel.shape[-1]
        shape = (len(self.covariance), 1, size.height + side - 1, size.width + side - 1)
        white = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        shaped = F.conv2d(white, self.kernel.cpu())[:, 0]
        values, axes = torch.linalg.eigh(self.covariance.cpu())
        return torch.einsum("ij,jhw->ihw", axes * values.clamp(min=0).sqrt(), shaped)


def add_grain(image: Tensor, pasted: PasteResult, aligned: Sequence[AlignedFace], amount: float) -> PasteResult:
    """Return ``pasted`` with the grain of ``image`` (C, H, W), the image before pasting, on the replaced pixels.

    Grain is measured in the flat parts of each face before restoration. An ``amount`` of 1 reproduces the grain fully, and 0 adds
    none. The random seed depends only on the photo, so equal inputs give equal results. Pixels with a mask of 0 stay
    bit-identical. Faces that are too small for the measurement get no grain.
    """
    if amount == 0:
        return pasted
    with without_autocast(image.device), without_autocast(torch.device("cpu")):
        return _grained(image, pasted, aligned, amount)


def _grained(image: Tensor, pasted: PasteResult, aligned: Sequence[AlignedFace], amount: float) -> PasteResult:
    result, remaining_mask = pasted.image.clone(), pasted.mask.clone()
    for face in aligned:
        box = output_box(face.crop_to_image, Size.of(face.crop)).to_pixels(Size.of(image))
        if not box.is_empty and _add(box, image, pasted, remaining_mask, amount, result):
            box.cut(remaining_mask).zero_()  # overlapping faces must not get grain twice
    return PasteResult(result, pasted.mask)


def _add(box: PixelBox, image: Tensor, pasted: PasteResult, mask: Tensor, amount: float, result: Tensor) -> bool:
    """Add grain to the pixels of ``box`` in ``result`` (C, H, W) where ``mask`` (1, H, W) is above 0.

    Returns False if the grain cannot be measured.
    """
    channels = 1 if len(image) < 3 else 3
    before, after = (box.cut(whole)[:channels].float() for whole in (image, pasted.image))
    mask = box.cut(mask)
    if bool((before == before[:1]).all()):  # gray pixels remain exactly gray
        before = before[:1]
    measured = _measure(before, after[: len(before)], mask)
    if measured is None:
        return False
    grain, missing = measured
    seed = zlib.crc32((before.nan_to_num().clamp(0, 1) * 255).round().byte().cpu().numpy().tobytes())
    noise = grain.draw(Size.of(before), seed).to(before)
    # Blended pixels keep the fraction (1 - mask) ** 2 of the variance of the photo's grain.
    strength = amount * (missing * mask * (2 - mask)).clamp(0, 1).sqrt()
    grainy = torch.minimum((after + strength * noise).maximum(after.clamp(max=0)), after.clamp(min=1))
    box.cut(result)[:channels] = grainy.where(mask > 0, after).to(result.dtype)
    return True


def _measure(before: Tensor, after: Tensor, mask: Tensor) -> tuple[Grain, Tensor] | None:
    """Return the grain of ``before`` (C, h, w) inside ``mask`` (1, h, w), and the fraction of its variance that ``after`` lacks.

    ``after`` (C, h, w) is the pasted image. The fraction is estimated for pixels with a mask of 1. Returns None if there are too
    few blocks to measure.
    """
    for side in (_BLOCK, _SMALL_BLOCK):
        blocks = _blocks(torch.cat([before, after, mask]), side)  # (N, 2 C + 1, side, side)
        photo, result = blocks[:, :-1].chunk(2, dim=1)
        coverage = blocks[:, -1].mean((1, 2))
        brightness = photo.mean((1, 2, 3))
        is_clipped = (brightness <= _CLIPPING_MARGIN) | (brightness >= 1 - _CLIPPING_MARGIN)
        usable = (coverage > 0.5 * mask.max()) & ~is_clipped & blocks.flatten(1).isfinite().all(1)
        if int(usable.sum()) >= _MIN_BLOCKS:
            break
    else:
        return None
    photo, result, coverage = _without_slope(photo[usable]), _without_slope(result[usable]), coverage[usable]
    variance = photo.square().mean((1, 2, 3))
    low, high = torch.quantile(variance, torch.tensor(_FLAT_QUANTILES, device=variance.device))
    flat = (variance >= low) & (variance <= high)
    photo, result, coverage = photo[flat], result[flat], coverage[flat].mean()
    pixels = photo.transpose(0, 1).flatten(1)
    covariance = pixels @ pixels.T / pixels.shape[1]
    missing = 1 - result.square().mean() / photo.square().mean().clamp(min=1e-12)
    return Grain(covariance, _kernel(photo)), missing / (coverage * (2 - coverage))


def _blocks(planes: Tensor, side: int) -> Tensor:
    """Return the square blocks (N, C, ``side``, ``side``) of ``planes`` (C, H, W), without incomplete blocks."""
    tiles = planes.unfold(1, side, side).unfold(2, side, side)
    return tiles.permute(1, 2, 0, 3, 4).reshape(-1, len(planes), side, side)


def _without_slope(blocks: Tensor) -> Tensor:
    """Subtract the best-fitting plane from each channel of each of ``blocks`` (N, C, K, K)."""
    place = torch.linspace(-1, 1, blocks.shape[-1], device=blocks.device)
    blocks = blocks - blocks.mean((2, 3), keepdim=True)
    across = (blocks * place).mean((2, 3), keepdim=True) / place.square().mean() * place
    down = (blocks * place[:, None]).mean((2, 3), keepdim=True) / place.square().mean() * place[:, None]
    return blocks - across - down


def _kernel(blocks: Tensor) -> Tensor:
    """Return a kernel (1, 1, K, K) of norm 1 with a power spectrum proportional to the mean over ``blocks`` (N, C, K, K)."""
    window = torch.hann_window(blocks.shape[-1], device=blocks.device)
    power = torch.fft.fft2(blocks * window * window[:, None]).abs().square().mean((0, 1))
    kernel = torch.fft.fftshift(torch.fft.ifft2(power.sqrt()).real)
    return (kernel / kernel.norm().clamp(min=1e-12))[None, None]
