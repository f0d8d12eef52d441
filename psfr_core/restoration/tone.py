"""Keep the tone of gray, sepia and other photos whose chroma is a function of their luma."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images.channels import chroma, from_luma_and_chroma, luma

_LEVELS = 64  # number of luma levels; a photo in a single tone has one chroma at each level
_LEVEL_BLUR = 1.0  # standard deviation, in levels, of the Gaussian that averages chroma over neighboring levels
# Maximum deviation of chroma from a function of luma, for values in [0, 1]. Sepia photos saved as JPEG of quality 45 deviate less,
# and color photos of faces deviate more than twice as much. The limit is lower for photos with little chroma, so that faded color
# photos keep their colors.
_MAX_DEVIATION = 2.5 / 255
_MIN_DEVIATION = 0.5 / 255
_DEVIATION_PER_CHROMA = 0.1


def keep_tone(restored: Tensor, crops: Tensor) -> Tensor:
    """Return ``restored`` (N, 3, S, S) in the tone of the photos ``crops`` (N, 3, S, S), both in [0, 1].

    If the chroma of a crop is a function of its luma, as in gray and sepia photos, each restored pixel keeps its luma and gets the
    chroma of this luma. All channels of the result for a gray crop are identical. Faces of color crops are returned unchanged, and
    cases in between are blended.
    """
    photo_luma, photo_chroma = F.avg_pool2d(torch.cat([luma(crops), chroma(crops)], dim=1), 2, ceil_mode=True).split(
        [1, 2], dim=1
    )
    curve = _tone_curve(photo_luma, photo_chroma)
    deviation = _rms(photo_chroma - _chroma_at(curve, photo_luma))
    allowed = (_MIN_DEVIATION + _DEVIATION_PER_CHROMA * _rms(photo_chroma)).clamp(max=_MAX_DEVIATION)
    in_one_tone = ((1.5 * allowed - deviation) / (0.5 * allowed)).clamp(0, 1)
    brightness = luma(restored)
    toned = from_luma_and_chroma(brightness, _chroma_at(curve, brightness)).clamp(0, 1)
    return torch.lerp(restored, toned, in_one_tone)


def _tone_curve(brightness: Tensor, color: Tensor) -> Tensor:
    """Return the mean of the chroma ``color`` (N, 2, S, S) at each level of the luma ``brightness`` (N, 1, S, S).

    The curve (N, 2, levels) is interpolated and extrapolated for levels without pixels.
    """
    position = (brightness.clamp(0, 1) * (_LEVELS - 1)).round().long().flatten(2)
    pixels = torch.cat([color, torch.ones_like(brightness)], dim=1).flatten(2)
    sums = pixels.new_zeros(len(pixels), 3, _LEVELS).scatter_add_(2, position.expand_as(pixels), pixels)
    level = torch.arange(_LEVELS, device=sums.device)
    distance = (level[:, None] - level).float().abs()
    # The added tails of the narrow Gaussian have an effect only at levels far from the level of any pixel.
    weights = torch.exp(-0.5 * (distance / _LEVEL_BLUR).square()) + 1e-6 / (1 + distance.square())
    sums = sums @ weights
    return sums[:, :2] / sums[:, 2:]


def _chroma_at(curve: Tensor, brightness: Tensor) -> Tensor:
    """Return the chroma (N, 2, S, S) that ``curve`` has at each ``brightness`` (N, 1, S, S)."""
    position = (brightness.clamp(0, 1) * (_LEVELS - 1)).flatten(2)
    below = position.floor().clamp(max=_LEVELS - 2)
    index = below.long().expand(-1, 2, -1)
    low, high = curve.gather(2, index), curve.gather(2, index + 1)
    return torch.lerp(low, high, (position - below).expand_as(low)).unflatten(2, brightness.shape[-2:])


def _rms(chroma: Tensor) -> Tensor:
    return chroma.square().mean((1, 2, 3), keepdim=True).sqrt()
