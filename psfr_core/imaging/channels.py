"""The colours of an image with any of 1 to 4 channels."""

from __future__ import annotations

from torch import Tensor

from ..checks import check_float, check_shape
from ..errors import InputError


def to_rgb(image: Tensor) -> Tensor:
    """The colours (3, H, W), float32, of ``image`` (C, H, W): grey, grey and alpha, RGB, or RGB and alpha; alpha is left out."""
    check_shape(image, "C H W", "image")
    check_float(image, "image")
    if len(image) > 4:
        raise InputError(
            f"image must have 1 to 4 channels (grey, grey and alpha, RGB, RGB and alpha), got {len(image)}. "
            "The channels come first: (C, H, W)."
        )
    colours = image[:1].expand(3, -1, -1) if len(image) < 3 else image[:3]
    return colours.float()
