"""The single degradations, each a function of an image (3, H, W) that returns a new one."""

from __future__ import annotations

import io
import math
from enum import Enum

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ...images import filters
from ...images.box import Size
from ...images.channels import luma
from ...images.resize import interpolate

_WIDEST_EXACT_MEDIAN = 31  # px


class Interpolation(str, Enum):
    """How an image is shrunk; the names are those of ``torch.nn.functional.interpolate``."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    AREA = "area"


def grey(image: Tensor) -> Tensor:
    """The image without color, still three channels: the luma of ITU-R BT.601, as Pillow's mode L."""
    return luma(image).expand(3, -1, -1).contiguous()


def gaussian_blur(image: Tensor, sigma_px: float) -> Tensor:
    """The image under a Gaussian; the edge is extended."""
    return filters.gaussian_blur(image[None], sigma_px)[0]


def box_blur(image: Tensor, size_px: float) -> Tensor:
    """The mean over a centered square of any side from 1, whole or not: pixels partly covered count partly."""
    radius = math.ceil((size_px - 1) / 2)
    covered = [min(size_px / 2 + 0.5 - abs(offset), 1.0) for offset in range(-radius, radius + 1)]
    return filters.separable_filter(image[None], [share / size_px for share in covered])[0]


def median_blur(image: Tensor, size_px: float) -> Tensor:
    """The median over a square, in 255 steps from 0 to 1; the side is the nearest odd number of pixels, at least 3.

    It is exact up to 31 pixels; wider ones, which only large photos get, are taken of the image made smaller, because the
    work grows with the square's area.
    """
    side = max(2 * round((size_px - 1) / 2) + 1, 3)
    height, width = image.shape[-2:]
    if side > _WIDEST_EXACT_MEDIAN:
        small = Size(*(math.ceil(length * _WIDEST_EXACT_MEDIAN / side) for length in (width, height)))
        blurred = median_blur(interpolate(image[None], small, "bilinear")[0], _WIDEST_EXACT_MEDIAN)
        return interpolate(blurred[None], (width, height), "bilinear")[0]
    padded = (_extend(image.clamp(0, 1), side // 2) * 255).round().to(torch.uint8)
    views = [padded[..., y : y + height, x : x + width] for y in range(side) for x in range(side)]
    # The median is the largest level that more than half of the pixels reach; found bit by bit, which is exact, and
    # for the sizes used faster than sorting.
    median = torch.zeros_like(image, dtype=torch.uint8)
    for bit in (128, 64, 32, 16, 8, 4, 2, 1):
        candidate = median + bit
        reached = torch.zeros_like(median, dtype=torch.uint8 if side <= 15 else torch.int16)
        for view in views:
            reached += (view >= candidate).view(torch.uint8)  # several times as fast as adding bools
        median += (reached > len(views) // 2).view(torch.uint8) * bit
    return median.to(image.dtype) / 255


def motion_blur(image: Tensor, length_px: float, angle_degrees: float, balance: float) -> Tensor:
    """The image smeared along a line through each pixel.

    The angle runs from the x axis towards the y axis. The weight changes evenly along the line, from ``1 - balance`` at
    its start to ``balance`` at its end: 0.5 is a steady movement.
    """
    kernel = _motion_kernel(length_px, math.radians(angle_degrees), balance)
    height, width = image.shape[-2:]
    extended = _extend(image, len(kernel) // 2)
    blurred = torch.zeros_like(image)
    for (
        y,
        x,
    ) in kernel.nonzero().tolist():  # few of a square's pixels lie on a line, so this is faster than a convolution
        blurred.add_(extended[..., y : y + height, x : x + width], alpha=float(kernel[y, x]))
    return blurred


def resize(image: Tensor, size: Size, interpolation: Interpolation) -> Tensor:
    """The image at another size, clamped to [0, 1]; shrinking is not antialiased, as in the published pipeline."""
    smooth = interpolation in (Interpolation.BILINEAR, Interpolation.BICUBIC)
    resized = F.interpolate(
        image[None],
        size=(size.height, size.width),
        mode=interpolation.value,
        align_corners=False if smooth else None,
    )
    return resized[0].clamp(0, 1)


def add_noise(image: Tensor, std: float, per_channel: bool, seed: int) -> Tensor:
    """The image with Gaussian noise, clamped to [0, 1]; the same noise on all channels unless ``per_channel``."""
    height, width = image.shape[-2:]
    noise = torch.randn(3 if per_channel else 1, height, width, generator=torch.Generator().manual_seed(seed))
    return (image + std * noise.to(image)).clamp(0, 1)


def jpeg(image: Tensor, quality: int) -> Tensor:
    """The image as it comes back from a JPEG file of Pillow's ``quality`` 1 to 100."""
    file = io.BytesIO()
    levels = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    Image.fromarray(levels.permute(1, 2, 0).cpu().numpy()).save(file, "JPEG", quality=quality)
    decoded = np.array(Image.open(file))
    return torch.from_numpy(decoded).permute(2, 0, 1).to(image) / 255


def quantized(image: Tensor) -> Tensor:
    """The image in the 256 levels that an 8-bit file can hold."""
    return (image.clamp(0, 1) * 255).round() / 255


def _extend(image: Tensor, margin: int) -> Tensor:
    return F.pad(image[None], (margin,) * 4, mode="replicate")[0]


def _motion_kernel(length_px: float, angle: float, balance: float) -> Tensor:
    """Weights (K, K) with sum 1: points along the line, each shared among the four pixels around it."""
    radius = math.ceil((length_px - 1) / 2)
    position = torch.linspace(-1, 1, 4 * radius + 1)
    weight = 0.5 + (balance - 0.5) * position
    along = position * (length_px - 1) / 2
    grid = torch.arange(-radius, radius + 1)
    in_x = (1 - (grid[:, None] - along * math.cos(angle)).abs()).clamp(min=0)
    in_y = (1 - (grid[:, None] - along * math.sin(angle)).abs()).clamp(min=0)
    kernel = (in_y * weight) @ in_x.T
    return kernel / kernel.sum()
