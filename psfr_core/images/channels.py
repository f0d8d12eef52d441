"""The channels of an image: grey, grey and alpha, RGB, or RGB and alpha."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_float, check_shape
from ..errors import InputError

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, what image files call grey
_OPAQUE_ENOUGH = 0.05  # alpha from which on a color counts as visible; below it, files hold rounding errors


def check_channels(image: Tensor, name: str = "image") -> None:
    """Raise InputError unless ``image`` is a float tensor (C, H, W) with 1 to 4 channels."""
    check_shape(image, "C H W", name)
    check_float(image, name)
    if len(image) > 4:
        raise InputError(
            f"{name} must have 1 to 4 channels (grey, grey and alpha, RGB, RGB and alpha), got {len(image)}. "
            "The channels come first: (C, H, W)."
        )


def to_rgb(image: Tensor) -> Tensor:
    """Return the visible colors (3, H, W), float32, of ``image`` (C, H, W) with 1 to 4 channels.

    Alpha is left out. Pixels that alpha hides take the colors of their visible neighbors, so that no hidden color reaches a
    network or a blur.
    """
    colors, alpha = split_alpha(image)
    colors = colors.float()
    if len(alpha) == 0 or bool((alpha >= _OPAQUE_ENOUGH).all()):
        return colors
    return fill_hidden(colors, alpha.float())


def clamped(rgb: Tensor) -> Tensor:
    """Return ``rgb`` clamped to [0, 1]: the same tensor, without a copy, where no value is outside."""
    low, high = rgb.aminmax()
    return rgb if low >= 0 and high <= 1 else rgb.clamp(0, 1)


def fill_hidden(colors: Tensor, alpha: Tensor) -> Tensor:
    """Return ``colors`` (3, H, W) with those that ``alpha`` (1, H, W) hides filled smoothly from visible neighbors.

    Colors at an alpha of 0.05 and above stay bit-identical; those at 0 have no influence. Without any visible pixel all are
    black. Each level of a pyramid fills the gaps of the level above it.
    """
    weight = (alpha / _OPAQUE_ENOUGH).clamp(0, 1)
    known = colors.where(weight > 0, 0)
    levels = [(known, weight)]
    while max(known.shape[-2:]) > 1:
        total = _half(torch.cat([known * weight, weight]))
        weight = total[-1:]
        known = total[:-1] / weight.where(weight > 0, 1)
        levels.append((known, weight.sign()))  # a color averaged from any visible pixel is as good as any other
    filled = known
    for known, weight in reversed(levels[:-1]):
        wide = F.interpolate(filled[None], known.shape[-2:], mode="bilinear", align_corners=False)[0]
        filled = torch.lerp(wide, known, weight)
    return filled


def _half(planes: Tensor) -> Tensor:
    return F.avg_pool2d(planes[None], 2, ceil_mode=True)[0]


def split_alpha(image: Tensor) -> tuple[Tensor, Tensor]:
    """The colors (3, H, W), also of a grey image, and the alpha (0 or 1, H, W) of ``image`` (C, H, W), of its type."""
    check_channels(image)
    colors = 1 if len(image) < 3 else 3
    return image[:colors].expand(3, -1, -1), image[colors:]


def luma(rgb: Tensor) -> Tensor:
    """Return the brightness (..., 1, H, W) of RGB images (..., 3, H, W), of their type, as Pillow's mode L."""
    weights = torch.tensor(_LUMA, dtype=rgb.dtype, device=rgb.device)
    return (rgb * weights[:, None, None]).sum(-3, keepdim=True)


def chroma(rgb: Tensor) -> Tensor:
    """Return red and blue minus green (..., 2, H, W) of RGB images (..., 3, H, W): exactly 0 where the channels are equal."""
    red, green, blue = rgb.unbind(-3)
    return torch.stack([red - green, blue - green], -3)


def from_luma_and_chroma(luma: Tensor, chroma: Tensor) -> Tensor:
    """Return the RGB images (..., 3, H, W) with this ``luma`` (..., 1, H, W) and ``chroma`` (..., 2, H, W).

    Where the chroma is 0 the channels are bit-identical.
    """
    red, blue = chroma.unbind(-3)
    green = luma.squeeze(-3) - _LUMA[0] * red - _LUMA[2] * blue
    return torch.stack([green + red, green, green + blue], -3)
