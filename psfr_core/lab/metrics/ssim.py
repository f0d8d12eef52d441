"""Compute SSIM, the structural similarity of images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...checks import check_pair
from ...errors import InputError
from ...images.box import Size
from ...images.filters import gaussian_kernel, separable_filter
from .metric import paired_metric

_RADIUS_PX, _SIGMA_PX = 5, 1.5
_C1, _C2 = 0.01**2, 0.03**2  # constants of SSIM for pixel values in [0, 1]


def ssim(images: Tensor, references: Tensor) -> Tensor:
    """Return the structural similarity (B,) of images and references (B, 3, H, W), RGB in [0, 1].

    The value is at most 1, and higher is better. The window is a Gaussian of 11 pixels with a sigma of 1.5 pixels. Images are
    mirrored at the edges, as in torchmetrics. Raises InputError for different shapes and for images smaller than 11 x 11 pixels.
    Source: Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity (2004), equation 13.
    """
    check_pair(images, references)
    window_px = 2 * _RADIUS_PX + 1
    if min(Size.of(images)) < window_px:
        found = f"{images.shape[-1]} x {images.shape[-2]}"
        raise InputError(f"SSIM needs images of at least {window_px} x {window_px} pixels, got {found}.")
    # Channels are processed one at a time to save memory, because about ten maps of the image's size exist at once.
    pairs = zip(images.split(1, dim=1), references.split(1, dim=1), strict=True)
    return torch.stack([_channel_ssim(*pair) for pair in pairs]).mean(dim=0)


def _channel_ssim(images: Tensor, references: Tensor) -> Tensor:
    """Return the mean structural similarity (B,) of images and references (B, 1, H, W)."""
    x, y = (F.pad(channel, 4 * (_RADIUS_PX,), mode="reflect") for channel in (images, references))
    mean_x, mean_y = _local_mean(x), _local_mean(y)
    variance_x = _local_mean(x * x) - mean_x * mean_x
    variance_y = _local_mean(y * y) - mean_y * mean_y
    covariance = _local_mean(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x * mean_x + mean_y * mean_y + _C1)
    structure = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    return (luminance * structure).mean(dim=(1, 2, 3))


def _local_mean(values: Tensor) -> Tensor:
    """Return the weighted means (B, 1, H, W) in the windows around the inner pixels of ``values`` (B, 1, H + 10, W + 10)."""
    filtered = separable_filter(values, gaussian_kernel(_SIGMA_PX, _RADIUS_PX))
    return filtered[..., _RADIUS_PX:-_RADIUS_PX, _RADIUS_PX:-_RADIUS_PX]


SSIM = paired_metric("ssim", ssim, higher_is_better=True)
