"""Compute MS-SSIM, the structural similarity of images at five scales."""

from __future__ import annotations

from types import ModuleType

from torch import Tensor

from ...checks import check_pair
from ...errors import InputError
from ...images.box import Size
from ...networks.inference.autocast import without_autocast
from ...optional_package import import_optional
from .metric import Metric, paired_metric

MIN_SIDE = 176  # in pixels; the 11-pixel window must fit into the image at the coarsest of the five scales


def import_ms_ssim() -> ModuleType:
    """Import the module that computes MS-SSIM. Raise MissingPackageError if torchmetrics is not installed."""
    return import_optional("torchmetrics.functional.image", "MS-SSIM", "torchmetrics")


def ms_ssim(images: Tensor, references: Tensor) -> Tensor:
    """Return the multi-scale structural similarity (B,) with the published weights; at most 1, higher is better.

    Images and references are (B, 3, H, W), RGB in [0, 1], of at least 176 x 176 pixels. torchmetrics computes the metric.
    Raises InputError for smaller images or different shapes, and MissingPackageError if torchmetrics is not installed.
    Source: Wang et al., Multi-scale Structural Similarity for Image Quality Assessment (2003), equation 7.
    """
    check_pair(images, references)
    if min(Size.of(images)) < MIN_SIDE:
        found = f"{images.shape[-1]} x {images.shape[-2]}"
        raise InputError(f"MS-SSIM needs images of at least {MIN_SIDE} x {MIN_SIDE} pixels, got {found}.")
    with without_autocast(images.device):
        return import_ms_ssim().multiscale_structural_similarity_index_measure(
            images, references, data_range=1.0, reduction="none"
        )


def load_ms_ssim() -> Metric:
    """Return MS-SSIM as a per-image metric. Raise MissingPackageError if torchmetrics is not installed."""
    import_ms_ssim()
    return paired_metric("ms_ssim", ms_ssim, higher_is_better=True)
