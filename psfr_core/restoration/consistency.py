"""Find where a restored face contradicts its photo, for example where lettering or a spoon became skin or teeth."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_float, check_shape
from ..errors import InputError
from ..images.filters import gaussian_blur
from .photo_quality import at_restored_size, fine_correlation

# Standard deviations of Gaussians, as fractions of the crop's side.
_FINEST = 0.006  # finer structure is missing in most photos, and the generator invents it
_FINEST_SHARP = 0.004  # a sharp photo shows structure down to this scale
_COARSEST = 0.031  # the color match takes coarser structure from the photo
_WINDOW = 0.012  # photo and result are compared in windows of this size
_SPREAD = 0.012  # this blur joins the parts of an object

# The limit of a deviation is scale * median ** _EXPONENT, where median is the median deviation in the crop. The limit is thus
# higher for bad photos, which provide weaker evidence. The exponent was fitted to the 99 % quantiles of degraded clean faces that
# no model was trained on. _LOST_SCALE was chosen such that LPIPS of these faces increases by less than 1 %. _ADDED_SCALE was chosen
# such that most objects drawn over sharp faces are kept.
_LOST_SCALE, _ADDED_SCALE, _EXPONENT = 1.08, 0.4, 0.66
_MIN_MEDIAN = 1e-3  # prevents a limit of 0 if the result equals the photo
_TRANSITION = 0.2  # a deviation counts fully at (1 + _TRANSITION) * limit
_NEARBY_LIMIT = 0.75  # fraction of the limit that suffices near pixels above the limit
_NEARBY_RADIUS = 0.08  # radius of this neighborhood, as a fraction of the crop's side
# The photo is kept partly above the first fraction of deviating pixels, and fully from the second.
_MIN_FRACTION, _MAX_FRACTION = 0.15, 0.5

# Result and photo may differ in contrast. Structure of one image explains structure of the other up to this gain.
_MAX_LOST_GAIN = 1.0  # the result is at least as sharp as the photo
_MAX_ADDED_GAIN = 1.5

# A photo counts as partly sharp above the first correlation of its finest diagonal structure with the result, and as fully sharp
# from the second. The correlation is above 0.77 for clean faces, below 0.7 for 97 % of faces reduced to between a quarter and two
# thirds of the side, and below 0.56 for all faces under the paper's degradation.
_SHARP_FROM, _SHARP_FULL = 0.72, 0.82


def contradictions(restored: Tensor, crops: Tensor, sizes: Sequence[int] | None = None) -> Tensor:
    """Return masks (N, 1, S, S), 0 to 1, of the pixels where ``restored`` contradicts ``crops``.

    Both are (N, 3, S, S), RGB in [0, 1], and ``restored`` is the result of ``match_colors``. ``sizes`` are the sides in pixels at
    which the faces were restored; None stands for S. Structure of the photo that the result lacks is a contradiction at scales that
    most photos resolve. Structure that the result adds is a contradiction only in sharp photos, which would show it. In blurred
    photos, a restorer is expected to add fine structure. The limits depend on the quality of the photo, so that heavily degraded
    faces are restored completely. Raises InputError for shapes that differ.
    """
    check_shape(restored, "N 3 S S", "restored")
    check_float(restored, "restored")
    if restored.shape != crops.shape:
        raise InputError(f"restored {tuple(restored.shape)} and crops {tuple(crops.shape)} must have the same shape.")
    results, photos = restored.float(), crops.to(restored.device, torch.float32).clamp(0, 1)
    # Half the resolution suffices for the compared scales, and takes a quarter of the time.
    halved = F.avg_pool2d(torch.cat([results, photos]), 2, ceil_mode=True)
    result, photo = _structure(halved, _FINEST).chunk(2)
    lost = _relative(_unexplained(photo, result, _MAX_LOST_GAIN), _LOST_SCALE)
    result, photo = _structure(halved, _FINEST_SHARP).chunk(2)
    added = _relative(_unexplained(result, photo, _MAX_ADDED_GAIN), _ADDED_SCALE)
    kept = _objects(torch.maximum(lost, _sharpness(results, photos, sizes) * added))
    return F.interpolate(kept, restored.shape[-2:], mode="bilinear", align_corners=False)


def _structure(images: Tensor, finest: float) -> Tensor:
    """Return the structure of ``images`` (N, 3, S, S) between the scales ``finest`` and ``_COARSEST``."""
    side = images.shape[-1]
    fine = gaussian_blur(images, finest * side)
    return fine - gaussian_blur(fine, _COARSEST * side)


def _unexplained(structure: Tensor, other: Tensor, max_gain: float) -> Tensor:
    """Return the part of ``structure`` (N, 3, S, S) that ``other``, times a local gain in [0, ``max_gain``], does not explain.

    The result is the root mean square (N, 1, S, S) of the difference over the channels and a small window.
    """
    products = torch.cat([structure * structure, structure * other, other * other]).mean(1, keepdim=True)
    own, both, others = gaussian_blur(products, _WINDOW * structure.shape[-1]).chunk(3)
    gain = (both / others.clamp(min=1e-6)).clamp(0, max_gain)
    return (own - 2 * gain * both + gain.square() * others).clamp(min=0).sqrt()


def _relative(deviation: Tensor, scale: float) -> Tensor:
    """Return ``deviation`` (N, 1, S, S) divided by its limit, which depends on ``scale`` and the median of each crop."""
    median = deviation.flatten(1).median(1).values.clamp(min=_MIN_MEDIAN)
    return deviation / (scale * median[:, None, None, None] ** _EXPONENT)


def _sharpness(results: Tensor, photos: Tensor, sizes: Sequence[int] | None) -> Tensor:
    """Return the sharpness (N, 1, 1, 1) of each photo (N, 3, S, S), where 1 means sharp to the pixel and 0 not sharp."""
    correlations = [fine_correlation(result, photo) for result, photo in at_restored_size(results, photos, sizes)]
    correlation = torch.cat(correlations)[:, None, None, None]
    return ((correlation - _SHARP_FROM) / (_SHARP_FULL - _SHARP_FROM)).clamp(0, 1)


def _objects(deviation: Tensor) -> Tensor:
    """Return masks (N, 1, S, S), 0 to 1, of the objects to keep. ``deviation`` (N, 1, S, S) is relative to its limit."""
    kept, candidates = _exceeding(deviation, 1.0), _exceeding(deviation, _NEARBY_LIMIT)
    near = _maximum_nearby(kept, round(_NEARBY_RADIUS * kept.shape[-1]))
    return torch.maximum(kept, candidates * near)  # the parts of one object deviate to different degrees


def _exceeding(deviation: Tensor, limit: float) -> Tensor:
    """Return masks (N, 1, S, S), 0 to 1, of areas in which ``deviation`` exceeds ``limit`` in many pixels."""
    excess = _smooth_step((deviation / limit - 1) / _TRANSITION)
    fraction = gaussian_blur(excess, _SPREAD * excess.shape[-1])
    return _smooth_step((fraction - _MIN_FRACTION) / (_MAX_FRACTION - _MIN_FRACTION))


def _maximum_nearby(planes: Tensor, radius: int) -> Tensor:
    """Return the maximum of the values within ``radius`` pixels along both axes, for each pixel of ``planes``."""
    columns = F.max_pool2d(planes, (2 * radius + 1, 1), stride=1, padding=(radius, 0))
    return F.max_pool2d(columns, (1, 2 * radius + 1), stride=1, padding=(0, radius))


def _smooth_step(x: Tensor) -> Tensor:
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)
