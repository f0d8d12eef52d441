"""The channels of an image: grey, grey and alpha, RGB, or RGB and alpha."""

from __future__ import annotations

import torch
from torch import Tensor

from ..checks import check_float, check_shape
from ..errors import InputError

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, what image files call grey


def check_channels(image: Tensor, name: str = "image") -> None:
    """Raise InputError unless ``image`` is a float tensor (C, H, W) with 1 to 4 channels."""
    check_shape(image, "C H W", name)
    check_float(image, name)
    if len(image) > 4:
        raise InputError(
            f"{name} must have 1 to 4 channels (grey, grey and alpha, RGB, RGB and alpha), got {len(image)}. "
            "The channels come first: (C, H, W)."
        )


def to_rgb(image: Tensor) -> Tensor:
    """The colours (3, H, W), float32, of ``image`` (C, H, W) with 1 to 4 channels; alpha is left out."""
    return split_alpha(image)[0].float()


def split_alpha(image: Tensor) -> tuple[Tensor, Tensor]:
    """The colours (3, H, W), also of a grey image, and the alpha (0 or 1, H, W) of ``image`` (C, H, W), of its type."""
    check_channels(image)
    colours = 1 if len(image) < 3 else 3
    return image[:colours].expand(3, -1, -1), image[colours:]


def luma(rgb: Tensor) -> Tensor:
    """The brightness (1, H, W) of an RGB image (3, H, W), of its type, as Pillow's mode L."""
    weights = torch.tensor(_LUMA, dtype=rgb.dtype, device=rgb.device)
    return (rgb * weights[:, None, None]).sum(0, keepdim=True)
