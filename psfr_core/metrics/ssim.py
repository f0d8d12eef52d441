"""SSIM, the likeness of two pictures in local mean, contrast and structure."""

from __future__ import annotations

from torch import Tensor

from ..errors import InputError
from .image_pair import check_pair, torchmetrics_image

_WINDOW_PX = 11


def ssim(images: Tensor, references: Tensor) -> Tensor:
    """Structural similarities (B,), at most 1 (higher is better), of a Gaussian window of 11 pixels with sigma 1.5.

    Both are (B, 3, H, W), RGB in [0, 1], of at least 11 x 11 pixels. Raises MissingPackageError without torchmetrics.
    Source: Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity.
    """
    check_pair(images, references)
    if min(images.shape[-2:]) < _WINDOW_PX:
        found = f"{images.shape[-1]} x {images.shape[-2]}"
        raise InputError(f"SSIM needs images of at least {_WINDOW_PX} x {_WINDOW_PX} pixels, got {found}.")
    metric = torchmetrics_image().structural_similarity_index_measure
    return metric(images, references, data_range=1.0, kernel_size=_WINDOW_PX, sigma=1.5, reduction="none").reshape(-1)
