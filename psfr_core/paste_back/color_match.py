"""Restored faces in the colours and the light of their photo."""

from __future__ import annotations

from enum import Enum

from torch import Tensor

from ..checks import check_float, check_shape
from ..errors import InputError
from ..imaging.filters import gaussian_blur

BLUR_SIGMA = 0.06  # of the crop's side: about an eye's width, coarser than what a restorer has to invent


class ColorMatch(str, Enum):
    """Where the colours of a pasted face come from."""

    NONE = "none"  # the generator
    LOW_FREQUENCY = "low-frequency"  # the photo, as far as a strong blur shows them


def match_colors(restored: Tensor, crops: Tensor, method: ColorMatch) -> Tensor:
    """``restored`` (N, 3, S, S) in [0, 1] with the broad colours of ``crops`` (N, 3, S, S), the faces as they were.

    What a strong blur shows of the two is made equal; fine detail stays the restorer's. Degradation hardly touches broad
    colours, and a generator, above all a small one, does not keep them exactly.
    """
    check_shape(restored, "N 3 S S", "restored")
    check_float(restored, "restored")
    if restored.shape != crops.shape:
        raise InputError(f"restored {tuple(restored.shape)} and crops {tuple(crops.shape)} must have the same shape.")
    if method is ColorMatch.NONE:
        return restored
    difference = crops.to(restored).clamp(0, 1) - restored
    return (restored + gaussian_blur(difference, BLUR_SIGMA * restored.shape[-1])).clamp(0, 1)
