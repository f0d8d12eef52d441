"""Resize images."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from ..checks import check_float
from ..errors import InputError, OptionError


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize ``image`` (..., C, H, W), float, to ``size`` = (width, height) pixels.

    The interpolation is bicubic (Catmull-Rom) with antialiasing, computed in float32 or higher precision. Sharp edges may overshoot
    by 7 % of their contrast, and sharp corners by 15 %, so clamp the result if it must stay in a range. The dtype is kept. An image
    that already has this size is returned unchanged. Raises OptionError for an empty ``size``, and InputError for another shape or
    dtype.
    """
    width, height = size
    if width < 1 or height < 1:
        raise OptionError(f"size must be at least 1 x 1 pixels, got {width} x {height}.")
    check_float(image, "image")
    if image.ndim < 3 or 0 in image.shape[-3:]:
        raise InputError(f"image must have the shape (..., C, H, W) without empty axes, got {tuple(image.shape)}.")
    if image.shape[-2:] == (height, width):
        return image
    planes = image.reshape(-1, *image.shape[-3:])
    exact = planes if planes.element_size() >= 4 else planes.float()
    resized = interpolate(exact, size, "bicubic")
    return resized.to(image.dtype).reshape(*image.shape[:-2], height, width)


def interpolate(images: Tensor, size: tuple[int, int], mode: Literal["bilinear", "bicubic"]) -> Tensor:
    """Resize ``images`` (B, C, H, W) to ``size`` = (width, height) pixels with antialiasing."""
    if images.device.type == "mps":  # PyTorch before 2.8 has no antialiasing kernels for MPS
        return interpolate(images.cpu(), size, mode).to(images.device)
    return F.interpolate(images, (size[1], size[0]), mode=mode, antialias=True, align_corners=False)


def resize_within(image: Tensor, longer_side: int) -> Tensor:
    """Shrink ``image`` (..., C, H, W) to at most ``longer_side`` pixels per side with ``resize``, and keep its aspect ratio.

    An image that is small enough is returned unchanged.
    """
    height, width = image.shape[-2:]
    factor = longer_side / max(height, width)
    if factor >= 1:
        return image
    return resize(image, (max(round(width * factor), 1), max(round(height * factor), 1)))
