"""Blur images. Edge pixels are replicated, so that borders do not darken."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_float, check_shape
from ..errors import OptionError

_TRUNCATE = 3.5  # radius of a Gaussian in standard deviations; 0.05 % of its weight lies outside


def gaussian_kernel(sigma_px: float, radius_px: int | None = None) -> list[float]:
    """Return a Gaussian with the standard deviation ``sigma_px`` > 0, sampled at whole pixels and normalized to a sum of 1.

    It has 2 * ``radius_px`` + 1 weights. If ``radius_px`` is None, the radius is 3.5 standard deviations, rounded up.
    """
    radius = max(1, math.ceil(_TRUNCATE * sigma_px)) if radius_px is None else radius_px
    weights = [math.exp(-0.5 * (x / sigma_px) * (x / sigma_px)) for x in range(-radius, radius + 1)]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def gaussian_blur(image: Tensor, sigma_px: float) -> Tensor:
    """Blur ``image`` (B, C, H, W), float, with a Gaussian whose standard deviation is ``sigma_px`` pixels.

    If ``sigma_px`` is 0, the same tensor is returned. Raises OptionError for a negative or infinite ``sigma_px``, and InputError
    unless ``image`` is a float batch.
    """
    if not (math.isfinite(sigma_px) and sigma_px >= 0):
        raise OptionError(f"sigma_px must be a finite number of pixels of at least 0, got {sigma_px}.")
    if sigma_px == 0:
        return image
    return separable_filter(image, gaussian_kernel(sigma_px))


def separable_filter(image: Tensor, weights: Sequence[float]) -> Tensor:
    """Correlate ``image`` (B, C, H, W), float, with ``weights`` along y and then along x.

    Edge pixels are replicated. With an even number of weights, the result is shifted by half a pixel to the left and up. Raises
    InputError for another shape or dtype.
    """
    check_shape(image, "B C H W", "image")
    check_float(image, "image")
    before, after = (len(weights) - 1) // 2, len(weights) // 2
    kernel = torch.tensor(weights, dtype=torch.float64)
    columns = correlate(F.pad(image, (0, 0, before, after), mode="replicate"), kernel[:, None])
    return correlate(F.pad(columns, (before, after, 0, 0), mode="replicate"), kernel[None])


def correlate(padded: Tensor, kernel: Tensor) -> Tensor:
    """Correlate each channel of ``padded`` (B, C, H, W), float, with ``kernel`` (K, L), a CPU tensor.

    Returns (B, C, H - K + 1, W - L + 1).
    """
    if padded.device.type != "cpu":  # on other devices, starting an operation for each weight takes longer
        return correlate_by_convolution(padded, kernel)
    # For kernels of one row or with few weights that are not 0, adding shifted images takes an eighth of the time of conv2d,
    # which is slow for single channels on a CPU.
    height, width = padded.shape[-2] - kernel.shape[0] + 1, padded.shape[-1] - kernel.shape[1] + 1
    total = padded[..., :height, :width] * float(kernel[0, 0])
    for y, x in kernel.nonzero().tolist():
        if (y, x) != (0, 0):
            total.add_(padded[..., y : y + height, x : x + width], alpha=float(kernel[y, x]))
    return total


def correlate_by_convolution(padded: Tensor, kernel: Tensor) -> Tensor:
    """Return the result of ``correlate``, computed by a single convolution on any device.

    Autocast and TF32 are switched off, because both lose precision.
    """
    channels = padded.flatten(0, 1)[:, None]
    full_precision = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    with torch.autocast(padded.device.type, enabled=False), full_precision:
        return F.conv2d(channels, kernel.to(padded)[None, None])[:, 0].unflatten(0, padded.shape[:2])
