"""What the picture metrics compare."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from torch import Tensor

from ..checks import check_float, check_shape
from ..errors import InputError, MissingPackageError


def check_pair(images: Tensor, references: Tensor) -> None:
    """Raise InputError unless both are float batches (B, 3, H, W) of one shape."""
    check_shape(images, "B 3 H W", "images")
    check_float(images, "images")
    check_float(references, "references")
    if images.shape != references.shape:
        raise InputError(
            f"images and references must have the same shape, got {tuple(images.shape)} and {tuple(references.shape)}."
        )


def torchmetrics_image() -> ModuleType:
    """The picture metrics of torchmetrics, an optional package; MissingPackageError where it is not installed."""
    try:
        return import_module("torchmetrics.functional.image")
    except ImportError as error:
        raise MissingPackageError(
            f"PSNR and SSIM need torchmetrics, which cannot be imported ({error}). Run: pip install psfrgan[metrics]"
        ) from error
