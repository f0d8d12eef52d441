"""Convert the channels of images: gray, gray + alpha, RGB, and RGBA."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_float, check_shape
from ..errors import InputError

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in Pillow's mode L
_MIN_VISIBLE_ALPHA = 0.05  # at a lower alpha, files store colors with large rounding errors


def check_channels(image: Tensor, name: str = "image") -> None:
    """Raise InputError unless ``image`` is a float tensor (C, H, W) with 1 to 4 channels."""
    check_shape(image, "C H W", name)
    check_float(image, name)
    if len(image) > 4:
        raise InputError(
            f"{name} must have 1 to 4 channels (gray, gray + alpha, RGB, RGBA), got {len(image)}. "
            "The channels come first: (C, H, W)."
        )


def to_rgb(image: Tensor) -> Tensor:
    """Return the visible colors (3, H, W), float32, of ``image`` (C, H, W) with 1 to 4 channels.

    Alpha is dropped. Pixels hidden by alpha take the colors of their visible neighbors, so that hidden colors reach neither
    networks nor blurs. Raises InputError for another shape or dtype.
    """
    colors, alpha = split_alpha(image)
    colors = colors.float()
    if len(alpha) == 0 or bool((alpha >= _MIN_VISIBLE_ALPHA).all()):
        return colors
    return fill_hidden(colors, alpha.float())


def clamped(rgb: Tensor) -> Tensor:
    """Return ``rgb`` clamped to [0, 1]. If all values are in range, the same tensor is returned."""
    low, high = rgb.aminmax()
    return rgb if low >= 0 and high <= 1 else rgb.clamp(0, 1)


def fill_hidden(colors: Tensor, alpha: Tensor) -> Tensor:
    """Fill the ``colors`` (3, H, W) that ``alpha`` (1, H, W) hides smoothly from their visible neighbors.

    Colors with an alpha of at least 0.05 stay bit-identical, and colors with an alpha of 0 are ignored. If no pixel is visible,
    the result is black. Each level of an image pyramid fills the gaps of the next finer level.
    """
    weight = (alpha / _MIN_VISIBLE_ALPHA).clamp(0, 1)
    known = colors.where(weight > 0, 0)
    levels = [(known, weight)]
    while max(known.shape[-2:]) > 1:
        total = _half(torch.cat([known * weight, weight]))
        weight = total[-1:]
        known = total[:-1] / weight.where(weight > 0, 1)
        # An average of visible pixels has full weight, even if some of the averaged pixels are hidden.
        levels.append((known, weight.sign()))
    filled = known
    for known, weight in reversed(levels[:-1]):
        enlarged = F.interpolate(filled[None], known.shape[-2:], mode="bilinear", align_corners=False)[0]
        filled = torch.lerp(enlarged, known, weight)
    return filled


def _half(planes: Tensor) -> Tensor:
    return F.avg_pool2d(planes[None], 2, ceil_mode=True)[0]


def split_alpha(image: Tensor) -> tuple[Tensor, Tensor]:
    """Split ``image`` (C, H, W) into RGB colors (3, H, W) and alpha (0 or 1, H, W), which are views of ``image``.

    Raises InputError for another shape or dtype.
    """
    check_channels(image)
    count = 1 if len(image) < 3 else 3
    return image[:count].expand(3, -1, -1), image[count:]


def luma(rgb: Tensor) -> Tensor:
    """Return the ITU-R BT.601 luma (..., 1, H, W) of RGB images (..., 3, H, W) in their dtype."""
    weights = torch.tensor(_LUMA, dtype=rgb.dtype, device=rgb.device)
    return (rgb * weights[:, None, None]).sum(-3, keepdim=True)


def chroma(rgb: Tensor) -> Tensor:
    """Return the differences red - green and blue - green (..., 2, H, W) of RGB images (..., 3, H, W).

    Both are exactly 0 for gray pixels.
    """
    red, green, blue = rgb.unbind(-3)
    return torch.stack([red - green, blue - green], -3)


def from_luma_and_chroma(luma: Tensor, chroma: Tensor) -> Tensor:
    """Combine ``luma`` (..., 1, H, W) and ``chroma`` (..., 2, H, W) into RGB images (..., 3, H, W).

    The three channels are bit-identical where the chroma is 0.
    """
    red, blue = chroma.unbind(-3)
    green = luma.squeeze(-3) - _LUMA[0] * red - _LUMA[2] * blue
    return torch.stack([green + red, green, green + blue], -3)
