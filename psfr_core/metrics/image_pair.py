"""What the picture metrics compare."""

from __future__ import annotations

from torch import Tensor

from ..checks import check_float, check_shape
from ..errors import InputError


def check_pair(images: Tensor, references: Tensor) -> None:
    """Raise InputError unless both are float batches (B, 3, H, W) of one shape."""
    check_shape(images, "B 3 H W", "images")
    check_float(images, "images")
    check_float(references, "references")
    if images.shape != references.shape:
        raise InputError(
            f"images and references must have the same shape, got {tuple(images.shape)} and {tuple(references.shape)}."
        )
