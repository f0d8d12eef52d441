"""Blurs of images, edges replicated so that nothing darkens or greys towards the border."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from ..checks import check_float, check_shape
from ..errors import OptionError

_REACH = 3.5  # standard deviations kept on each side of a Gaussian: 0.05 % of its weight lies beyond


def gaussian_kernel(sigma_px: float, radius_px: int | None = None) -> list[float]:
    """Weights of a Gaussian of ``sigma_px`` > 0 sampled at whole pixels: an odd number of them, sum 1.

    It reaches ``radius_px`` pixels to each side of the middle; None takes as many as have weight.
    """
    radius = max(1, math.ceil(_REACH * sigma_px)) if radius_px is None else radius_px
    weights = [math.exp(-0.5 * (x / sigma_px) * (x / sigma_px)) for x in range(-radius, radius + 1)]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def gaussian_blur(image: Tensor, sigma_px: float) -> Tensor:
    """``image`` (B, C, H, W), float, blurred by a Gaussian of ``sigma_px`` pixels; 0 returns the same tensor.

    Raises OptionError for a negative or infinite sigma, InputError for anything but a float batch.
    """
    if not (math.isfinite(sigma_px) and sigma_px >= 0):
        raise OptionError(f"sigma_px must be a finite number of pixels of at least 0, got {sigma_px}.")
    if sigma_px == 0:
        return image
    return separable_filter(image, gaussian_kernel(sigma_px))


def separable_filter(image: Tensor, weights: Sequence[float]) -> Tensor:
    """``image`` (B, C, H, W), float, correlated with ``weights`` along y and then along x, edge pixels repeated.

    An even number of weights has its middle half a pixel to the right and down of the pixel it makes.
    """
    check_shape(image, "B C H W", "image")
    check_float(image, "image")
    before, after = (len(weights) - 1) // 2, len(weights) // 2
    columns = _correlate(F.pad(image, (0, 0, before, after), mode="replicate"), weights, dim=-2)
    return _correlate(F.pad(columns, (before, after, 0, 0), mode="replicate"), weights, dim=-1)


def _correlate(padded: Tensor, weights: Sequence[float], dim: int) -> Tensor:
    # Whole shifted images are added up: on a CPU an eighth of the time of conv2d, which is slow with one channel.
    length = padded.shape[dim] - len(weights) + 1
    total = padded.narrow(dim, 0, length) * weights[0]
    for offset, weight in enumerate(weights[1:], start=1):
        total = total.add_(padded.narrow(dim, offset, length), alpha=weight)
    return total
