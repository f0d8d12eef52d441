"""Resizing of images."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from ..checks import check_float
from ..errors import InputError, OptionError


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """``image`` (..., C, H, W), float, at ``size`` = (width, height) pixels; the same tensor if it has that size.

    Bicubic (Catmull-Rom), widened when it shrinks so that nothing aliases. Sharp edges overshoot by a few percent:
    clamp what must stay in a range. Computed in float32 or wider, returned in the image's dtype.
    """
    width, height = size
    if width < 1 or height < 1:
        raise OptionError(f"size must be at least 1 x 1 pixels, got {width} x {height}.")
    check_float(image, "image")
    if image.ndim < 3 or 0 in image.shape[-3:]:
        raise InputError(f"image must have the shape (..., C, H, W) and no empty axis, got {tuple(image.shape)}.")
    if image.shape[-2:] == (height, width):
        return image
    planes = image.reshape(-1, *image.shape[-3:])
    exact = planes if planes.element_size() >= 4 else planes.float()
    resized = interpolate(exact, size, "bicubic")
    return resized.to(image.dtype).reshape(*image.shape[:-2], height, width)


def interpolate(images: Tensor, size: tuple[int, int], mode: Literal["bilinear", "bicubic"]) -> Tensor:
    """``images`` (B, C, H, W) at ``size`` = (width, height) pixels, by a kernel that is widened when they shrink."""
    if images.device.type == "mps":  # where PyTorch before 2.8 has no such kernels
        return interpolate(images.cpu(), size, mode).to(images.device)
    return F.interpolate(images, (size[1], size[0]), mode=mode, antialias=True, align_corners=False)


def resize_within(image: Tensor, longer_side: int) -> Tensor:
    """``image`` made smaller, in its proportions, until no side is above ``longer_side`` pixels; as it is when none is."""
    height, width = image.shape[-2:]
    factor = longer_side / max(height, width)
    if factor >= 1:
        return image
    return resize(image, (max(round(width * factor), 1), max(round(height * factor), 1)))
