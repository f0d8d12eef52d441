"""Where a restored face contradicts its photo: lettering, spoons and straps that became eyes, teeth or skin."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_float, check_shape
from ..errors import InputError
from ..images.filters import gaussian_blur

# Standard deviations of Gaussians, as fractions of the crop's side.
_FINEST = 0.006  # finer structure is lost in most photos, and invented by the generator
_COARSEST = 0.031  # coarser structure comes from the photo by the color match
_WINDOW = 0.012  # where photo and result are compared
_SPREAD = 0.012  # brings the parts of an object together

# The limit of the deviation, _SCALE * median ** _EXPONENT of the crop's: a photo of poor quality leaves more of it uncertain. The
# exponent is fitted to the 99 % quantiles of degraded clean faces that no model was trained on, the scale so that LPIPS of such
# faces rises by less than 1 %.
_SCALE, _EXPONENT = 1.08, 0.66
_MIN_MEDIAN = 1e-3  # below it the result is the photo
_SOFTNESS = 0.2  # fraction of the limit above it at which a deviation counts fully
_LESS_SURE = 0.75  # part of the limit that suffices near a place above it
_REACH = 0.08  # of the crop's side: how far near is
_FEWEST, _MOST = 0.15, 0.5  # parts of the neighborhood that deviate: below, the photo goes; above, it stays


def contradictions(restored: Tensor, crops: Tensor) -> Tensor:
    """Return from 0 to 1 where the photo should stay (N, 1, S, S): where ``restored`` contradicts ``crops``, both (N, 3, S, S).

    Both are compared at a sharpness that photos have, after ``match_colors``. The restored structure may be stronger than the
    photo's, as it is sharper, but not weaker and not another one. The limit follows the quality of the photo, so that heavily
    degraded faces are restored in full. Raises InputError for shapes that differ.
    """
    check_shape(restored, "N 3 S S", "restored")
    check_float(restored, "restored")
    if restored.shape != crops.shape:
        raise InputError(f"restored {tuple(restored.shape)} and crops {tuple(crops.shape)} must have the same shape.")
    # Half the resolution shows all that is compared, in a quarter of the time.
    images = torch.cat([restored.float(), crops.to(restored.device, torch.float32).clamp(0, 1)])
    images = F.avg_pool2d(images, 2, ceil_mode=True)
    deviation = _deviation(*_structure(images).chunk(2))
    median = deviation.flatten(1).median(1).values.clamp(min=_MIN_MEDIAN)
    limit = _SCALE * median[:, None, None, None] ** _EXPONENT
    kept, less_sure = _exceeding(deviation, limit), _exceeding(deviation, _LESS_SURE * limit)
    near = _largest_near(kept, round(_REACH * kept.shape[-1]))
    kept = torch.maximum(kept, less_sure * near)  # one object deviates here more, there less
    return F.interpolate(kept, restored.shape[-2:], mode="bilinear", align_corners=False)


def _exceeding(deviation: Tensor, limit: Tensor) -> Tensor:
    """Return from 0 to 1 where ``deviation`` (N, 1, S, S) exceeds ``limit`` (N, 1, 1, 1) in more than single pixels."""
    excess = _smooth_step((deviation / limit - 1) / _SOFTNESS)
    share = gaussian_blur(excess, _SPREAD * excess.shape[-1])
    return _smooth_step((share - _FEWEST) / (_MOST - _FEWEST))


def _largest_near(planes: Tensor, radius: int) -> Tensor:
    """Return the largest value within ``radius`` pixels along both axes, one axis after the other."""
    columns = F.max_pool2d(planes, (2 * radius + 1, 1), stride=1, padding=(radius, 0))
    return F.max_pool2d(columns, (1, 2 * radius + 1), stride=1, padding=(0, radius))


def _structure(images: Tensor) -> Tensor:
    """Return what lies between the finest and the coarsest scale of ``images`` (N, 3, S, S)."""
    side = images.shape[-1]
    fine = gaussian_blur(images, _FINEST * side)
    return fine - gaussian_blur(fine, _COARSEST * side)


def _deviation(restored: Tensor, photo: Tensor) -> Tensor:
    """Return how much of the structure (N, 3, S, S) of ``photo`` the one of ``restored``, weakened at will, leaves unexplained.

    A root mean square (N, 1, S, S) over the channels and a small window.
    """
    products = torch.cat([photo * photo, photo * restored, restored * restored]).mean(1, keepdim=True)
    of_photo, of_both, of_restored = gaussian_blur(products, _WINDOW * photo.shape[-1]).chunk(3)
    gain = (of_both / of_restored.clamp(min=1e-6)).clamp(0, 1)
    return (of_photo - 2 * gain * of_both + gain.square() * of_restored).clamp(min=0).sqrt()


def _smooth_step(x: Tensor) -> Tensor:
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)
