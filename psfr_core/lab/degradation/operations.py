"""Degrade an image in single steps.

Each function takes an image (3, H, W), RGB in [0, 1], and returns a new image of the same dtype.
"""

from __future__ import annotations

import io
import math
from enum import Enum

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ...checks import seeded_generator
from ...images import filters
from ...images.box import Size
from ...images.channels import luma
from ...images.resize import interpolate
from ...optional_package import import_optional

_MAX_EXACT_MEDIAN_PX = 31


class Interpolation(str, Enum):
    """Interpolation method, named as in ``torch.nn.functional.interpolate``."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    AREA = "area"


def gray(image: Tensor) -> Tensor:
    """Return the luma of ITU-R BT.601, as in Pillow's mode L, on three channels."""
    return luma(image).expand(3, -1, -1).contiguous()


def gaussian_blur(image: Tensor, sigma_px: float) -> Tensor:
    """Blur the image with a Gaussian of standard deviation ``sigma_px``. Edge pixels are replicated."""
    return filters.gaussian_blur(image[None], sigma_px)[0]


def box_blur(image: Tensor, size_px: float) -> Tensor:
    """Return the mean over a centered square of side ``size_px``, at least 1.

    If the side is not an odd integer, the outermost pixels have lower weights.
    """
    radius = math.ceil((size_px - 1) / 2)
    weights = [min(size_px / 2 + 0.5 - abs(offset), 1.0) for offset in range(-radius, radius + 1)]
    return filters.separable_filter(image[None], [weight / size_px for weight in weights])[0]


def median_blur(image: Tensor, size_px: float) -> Tensor:
    """Return the median over a square, quantized to 256 levels.

    The side is rounded to an odd number of pixels, at least 3. The median is exact up to a side of 31 pixels, and larger
    medians are computed on a smaller copy of the image. Raises MissingPackageError if OpenCV is not installed.
    """
    side = max(2 * round((size_px - 1) / 2) + 1, 3)
    height, width = image.shape[-2:]
    if side > _MAX_EXACT_MEDIAN_PX:
        small = Size(*(math.ceil(length * _MAX_EXACT_MEDIAN_PX / side) for length in (width, height)))
        blurred = median_blur(interpolate(image[None], small, "bilinear")[0], _MAX_EXACT_MEDIAN_PX)
        return interpolate(blurred[None], (width, height), "bilinear")[0]
    opencv = import_optional("cv2", "A median blur", "opencv-python-headless")
    return _from_levels(opencv.medianBlur(_to_levels(image), side), image)


def motion_blur(image: Tensor, length_px: float, angle_degrees: float, balance: float) -> Tensor:
    """Blur the image along a line through each pixel.

    The angle is measured from the x axis towards the y axis. The weight changes linearly along the line, from
    ``1 - balance`` at its start to ``balance`` at its end, so 0.5 is a uniform motion.
    """
    kernel = _motion_kernel(length_px, math.radians(angle_degrees), balance)
    return filters.correlate(_extend(image, len(kernel) // 2)[None], kernel)[0]


def resize(image: Tensor, size: Size, interpolation: Interpolation) -> Tensor:
    """Resize the image without antialiasing, as in the published pipeline, and clamp it to [0, 1]."""
    smooth = interpolation in (Interpolation.BILINEAR, Interpolation.BICUBIC)
    resized = F.interpolate(
        image[None],
        size=(size.height, size.width),
        mode=interpolation.value,
        align_corners=False if smooth else None,
    )
    return resized[0].clamp(0, 1)


def add_noise(image: Tensor, std: float, per_channel: bool, seed: int) -> Tensor:
    """Add Gaussian noise and clamp the image to [0, 1]. All channels get the same noise unless ``per_channel`` is true."""
    height, width = image.shape[-2:]
    noise = torch.randn(3 if per_channel else 1, height, width, generator=seeded_generator(seed))
    return (image + std * noise.to(image)).clamp(0, 1)


def jpeg(image: Tensor, quality: int) -> Tensor:
    """Compress the image to JPEG with Pillow's ``quality``, 1 to 100, and return the decoded image."""
    file = io.BytesIO()
    Image.fromarray(_to_levels(image)).save(file, "JPEG", quality=quality)
    return _from_levels(np.array(Image.open(file)), image)


def quantized(image: Tensor) -> Tensor:
    """Quantize the image to the 256 levels of an 8-bit file."""
    return (image.clamp(0, 1) * 255).round() / 255


def _to_levels(image: Tensor) -> NDArray[np.uint8]:
    """Convert an image (3, H, W) to an array (H, W, 3) of 8-bit levels."""
    levels = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    return levels.permute(1, 2, 0).contiguous().cpu().numpy()


def _from_levels(levels: NDArray[np.uint8], like: Tensor) -> Tensor:
    """Convert an array (H, W, 3) of 8-bit levels to an image (3, H, W) with the dtype and device of ``like``."""
    return torch.from_numpy(levels).permute(2, 0, 1).to(like) / 255


def _extend(image: Tensor, margin: int) -> Tensor:
    return F.pad(image[None], (margin,) * 4, mode="replicate")[0]


def _motion_kernel(length_px: float, angle: float, balance: float) -> Tensor:
    """Return the weights (K, K) of points along a line; their sum is 1.

    Each point is distributed bilinearly over the four nearest pixels.
    """
    radius = math.ceil((length_px - 1) / 2)
    position = torch.linspace(-1, 1, 4 * radius + 1)
    weight = 0.5 + (balance - 0.5) * position
    along = position * (length_px - 1) / 2
    grid = torch.arange(-radius, radius + 1)
    in_x = (1 - (grid[:, None] - along * math.cos(angle)).abs()).clamp(min=0)
    in_y = (1 - (grid[:, None] - along * math.sin(angle)).abs()).clamp(min=0)
    kernel = (in_y * weight) @ in_x.T
    return kernel / kernel.sum()
