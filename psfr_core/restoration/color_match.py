"""Give restored faces the colors and the light of their photo."""

from __future__ import annotations

from enum import Enum

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_finite, check_float, check_shape, check_type
from ..errors import InputError
from ..images.box import Size
from ..images.channels import chroma, from_luma_and_chroma, luma
from ..images.filters import gaussian_blur
from ..images.resize import resize, resize_within
from ..networks.inference.autocast import without_autocast
from .tone import keep_tone

# Standard deviations of Gaussians, as fractions of the crop's side.
BLUR_SIGMA = 0.06  # about an eye's width, coarser than what a restorer has to invent
_DETAIL_ONLY_SIGMA = 0.02  # about the radius of an iris; coarser structure comes from the photo
_FINE_SIGMA = 0.004  # a pixel of 256
_DETAIL_SIGMA = 0.016  # chroma finer than this is compared

_MAX_SIDE = 512  # in pixels; corrections of larger crops are computed at this size, to save time

# Correlation of the fine chroma of photo and result at which that of the photo starts to count, and counts fully. Fitted on
# degraded faces: above, the color of irises and lips is nearer to the clean face in the photo than in the result.
_TRUST_FROM, _TRUST_FULL = 0.7, 0.85


class ColorMatch(str, Enum):
    """Source of the colors of a pasted face."""

    NONE = "none"  # the generator
    LOW_FREQUENCY = "low-frequency"  # the photo: its low frequencies, and its fine chroma where this is reliable
    DETAIL_ONLY = "detail-only"  # the photo, and its shading too: only fine detail comes from the generator


def match_colors(restored: Tensor, crops: Tensor, method: ColorMatch) -> Tensor:
    """Return ``restored`` (N, 3, S, S) in [0, 1] with the broad colors of ``crops`` (N, 3, S, S), the faces before restoration.

    The low frequencies of the photo replace those of the result, which keeps its fine detail: degradation hardly changes broad
    colors, and a generator, above all a small one, does not preserve them exactly. If the fine chroma of photo and result
    agrees, that of the photo is used too, which preserves the color of eyes and lips; noise, strong blur and JPEG destroy this
    agreement. ``DETAIL_ONLY`` replaces all frequencies but the highest, so that folds and shadows are those of the photo too. For
    a crop in one tone, such as gray or sepia, the result has this tone with every method. Raises InputError for shapes that
    differ and for values that are not finite.
    """
    for faces, name in ((restored, "restored"), (crops, "crops")):
        check_shape(faces, "N 3 S S", name)
        check_float(faces, name)
        check_finite(faces, name)
    check_type(method, ColorMatch, "method")
    if restored.shape != crops.shape:
        raise InputError(f"restored {tuple(restored.shape)} and crops {tuple(crops.shape)} must have the same shape.")
    exact, crops = restored.float(), crops.to(restored.device, torch.float32).clamp(0, 1)
    with without_autocast(restored.device):
        matched = _matched(exact, crops, method)
        return keep_tone(matched, crops).to(restored.dtype)


def _matched(restored: Tensor, crops: Tensor, method: ColorMatch) -> Tensor:
    match method:
        case ColorMatch.NONE:
            return restored
        case ColorMatch.LOW_FREQUENCY:
            return _match_low_frequencies(restored, crops)
        case ColorMatch.DETAIL_ONLY:
            difference = resize_within(crops, _MAX_SIDE) - resize_within(restored, _MAX_SIDE)
            coarse = gaussian_blur(difference, _DETAIL_ONLY_SIGMA * difference.shape[-1])
            return (restored + _enlarged(coarse, restored)).clamp(0, 1)


def _match_low_frequencies(restored: Tensor, crops: Tensor) -> Tensor:
    # Both corrections are smooth, so computing them at a reduced size loses nothing.
    small_crops, small_restored = resize_within(crops, _MAX_SIDE), resize_within(restored, _MAX_SIDE)
    side = small_crops.shape[-1]
    difference = small_crops - small_restored
    broad = gaussian_blur(difference, BLUR_SIGMA * side)
    fine = gaussian_blur(chroma(difference), _FINE_SIGMA * side) - chroma(broad)
    trusted = _trust(chroma(small_crops), chroma(small_restored)) * fine
    matched = restored + _enlarged(broad, restored)
    colors = chroma(matched) + _enlarged(trusted, restored)
    return from_luma_and_chroma(luma(matched), colors).clamp(0, 1)


def _enlarged(correction: Tensor, crops: Tensor) -> Tensor:
    return resize(correction, Size.of(crops))


def _trust(photo: Tensor, result: Tensor) -> Tensor:
    """Return the reliability (N, 1, 1, 1), from 0 to 1, of the fine chroma of each photo, from both (N, 2, S, S)."""
    both = F.avg_pool2d(torch.cat([photo, result], dim=1), 2, ceil_mode=True)  # half the resolution shows enough
    photo, result = (both - gaussian_blur(both, _DETAIL_SIGMA * both.shape[-1])).chunk(2, dim=1)
    energies = _total(photo.square()) * _total(result.square())
    correlation = _total(photo * result) / energies.sqrt().clamp(min=1e-6)
    return ((correlation - _TRUST_FROM) / (_TRUST_FULL - _TRUST_FROM)).clamp(0, 1)


def _total(planes: Tensor) -> Tensor:
    return planes.sum((1, 2, 3), keepdim=True)
