"""Match the colors and shading of restored faces to their photo."""

from __future__ import annotations

from enum import Enum

import torch
import torch.nn.functional as F
from torch import Tensor

from ..batch_size import in_small_batches
from ..checks import check_finite, check_float, check_shape, check_type
from ..errors import InputError
from ..images.box import Size
from ..images.channels import chroma, from_luma_and_chroma, luma
from ..images.filters import gaussian_blur
from ..images.resize import resize, resize_within
from ..networks.inference.autocast import without_autocast
from .tone import keep_tone

# Standard deviations of Gaussians, as fractions of the crop's side.
BLUR_SIGMA = 0.06  # about half the width of an eye; coarser than the detail that a restorer invents
_DETAIL_ONLY_SIGMA = 0.02  # about the radius of an iris; coarser structure comes from the photo
_FINE_SIGMA = 0.004  # about one pixel of a 256 px crop; chroma finer than this scale comes from the generator
_DETAIL_SIGMA = 0.016  # chroma finer than this scale is compared

_MAX_SIDE = 512  # pixels; for larger crops, corrections are computed at this size to save time

# The photo's fine chroma is used partly above the first correlation with the fine chroma of the result, and fully from the second.
# The values were fitted to degraded faces. Above them, the colors of irises and lips in the photo are closer to the clean face than
# the colors in the result.
_RELIABLE_FROM, _RELIABLE_FULL = 0.7, 0.85


class ColorMatch(str, Enum):
    """Source of the colors of pasted faces."""

    NONE = "none"  # all colors come from the generator
    LOW_FREQUENCY = "low-frequency"  # low frequencies, and fine chroma if reliable, come from the photo
    DETAIL_ONLY = "detail-only"  # only fine detail comes from the generator


def match_colors(restored: Tensor, crops: Tensor, method: ColorMatch) -> Tensor:
    """Return ``restored`` with the colors of ``crops``, the faces before restoration.

    Both are (N, 3, S, S), RGB in [0, 1]. With ``LOW_FREQUENCY``, the low frequencies of the photo replace those of the result,
    which keeps its fine detail. Degradation hardly changes low frequencies, but generators, in particular small ones, do not
    preserve them exactly. If the fine chroma of photo and result is correlated, the photo's fine chroma is used as well, which
    preserves the colors of eyes and lips. Noise, strong blur and JPEG destroy this correlation. ``DETAIL_ONLY`` replaces all
    except the highest frequencies, so that folds and shadows also come from the photo. ``NONE`` keeps the colors of the result. If
    a crop has a single tone, such as gray or sepia, the result has this tone with every method. The result has the dtype and the
    device of ``restored``. Raises InputError for shapes that differ, for values that are not finite, and if ``method``
    is not a ColorMatch.
    """
    for faces, name in ((restored, "restored"), (crops, "crops")):
        check_shape(faces, "N 3 S S", name)
        check_float(faces, name)
        check_finite(faces, name)
    check_type(method, ColorMatch, "method")
    if restored.shape != crops.shape:
        raise InputError(f"restored {tuple(restored.shape)} and crops {tuple(crops.shape)} must have the same shape.")
    exact, crops = restored.float(), crops.to(restored.device, torch.float32).clamp(0, 1)

    def matched(batch: slice) -> Tensor:
        return keep_tone(_matched(exact[batch], crops[batch], method), crops[batch]).to(restored.dtype)

    with without_autocast(restored.device):
        return in_small_batches(matched, len(restored))


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
    # Both corrections are smooth, so a reduced size suffices.
    small_crops, small_restored = resize_within(crops, _MAX_SIDE), resize_within(restored, _MAX_SIDE)
    side = small_crops.shape[-1]
    difference = small_crops - small_restored
    broad = gaussian_blur(difference, BLUR_SIGMA * side)
    fine = gaussian_blur(chroma(difference), _FINE_SIGMA * side) - chroma(broad)
    reliable = _reliability(chroma(small_crops), chroma(small_restored)) * fine
    matched = restored + _enlarged(broad, restored)
    colors = chroma(matched) + _enlarged(reliable, restored)
    return from_luma_and_chroma(luma(matched), colors).clamp(0, 1)


def _enlarged(correction: Tensor, crops: Tensor) -> Tensor:
    return resize(correction, Size.of(crops))


def _reliability(photo: Tensor, result: Tensor) -> Tensor:
    """Return the reliability (N, 1, 1, 1), 0 to 1, of the fine chroma of each ``photo`` (N, 2, S, S).

    It depends on the correlation with the chroma of ``result`` (N, 2, S, S).
    """
    both = F.avg_pool2d(torch.cat([photo, result], dim=1), 2, ceil_mode=True)  # half the resolution suffices
    photo, result = (both - gaussian_blur(both, _DETAIL_SIGMA * both.shape[-1])).chunk(2, dim=1)
    energies = _total(photo.square()) * _total(result.square())
    correlation = _total(photo * result) / energies.sqrt().clamp(min=1e-6)
    return ((correlation - _RELIABLE_FROM) / (_RELIABLE_FULL - _RELIABLE_FROM)).clamp(0, 1)


def _total(planes: Tensor) -> Tensor:
    return planes.sum((1, 2, 3), keepdim=True)
