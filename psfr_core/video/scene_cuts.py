"""Find the cuts between the shots of a video."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_float, check_shape

CUT_DISTANCE = 0.3
"""Minimum distance, from 0 to 1, between the last frame of a shot and the first frame of the next."""

_THUMBNAIL = (36, 64)  # rows and columns
_LEVELS = 8  # histogram bins per color channel
_LONGEST_FLASH = 2  # frames
_MIN_CONTRAST = 0.02  # standard deviation of the gray image (mean of the channels) below which a frame has no layout
_SURROUNDINGS = 4  # frames on each side that show how much the shot moves
_MIN_RATIO = 2.5  # minimum ratio of the distance at a cut to the median distance around it


class SceneCutFinder:
    """Finder of cuts in frames that are added one by one. It stores a few thumbnails, and a number for each frame."""

    def __init__(self) -> None:
        self._recent: list[Tensor] = []  # the last thumbnails, oldest first
        self._distances: list[float] = []  # distance of each frame from the previous frame
        # Pairs of the indices of similar frames, earlier and later, with one or two frames between them.
        self._repeats: set[tuple[int, int]] = set()

    def add(self, frame: Tensor) -> float:
        """Add the next ``frame`` (3, H, W), float RGB in [0, 1], and return its distance from the previous frame; 0 for the first.

        Raises InputError for another shape or dtype.
        """
        check_shape(frame, "3 H W", "frame")
        check_float(frame, "frame")
        self._add(F.adaptive_avg_pool2d(frame.float(), _THUMBNAIL).clamp(0, 1).cpu())
        return self._distances[-1]

    def repeat(self) -> None:
        """Add the last frame once more."""
        self._add(self._recent[-1])

    def _add(self, thumbnail: Tensor) -> None:
        distances = [frame_distance(earlier, thumbnail) for earlier in self._recent]
        index = len(self._distances)
        self._distances.append(distances[-1] if distances else 0.0)
        for earlier, distance in zip(range(index - len(distances), index - 1), distances[:-1], strict=True):
            if distance < CUT_DISTANCE:
                self._repeats.add((earlier, index))
        self._recent = [*self._recent, thumbnail][-_LONGEST_FLASH - 1 :]  # frames that may precede a flash

    def cuts(self) -> list[int]:
        """Return the indices of the first frames of all shots except the first one.

        A flash of one or two frames is not a cut, and neither is motion that makes the distances of nearby frames large as well.
        """
        return [
            index
            for index, distance in enumerate(self._distances)
            if distance >= CUT_DISTANCE and self._stands_out(index) and not self._belongs_to_flash(index)
        ]

    def _stands_out(self, index: int) -> bool:
        """Return whether the distance at ``index`` is much larger than the distances of the frames around it."""
        first = max(index - _SURROUNDINGS, 1)
        around = [*self._distances[first:index], *self._distances[index + 1 : index + 1 + _SURROUNDINGS]]
        return not around or self._distances[index] >= _MIN_RATIO * sorted(around)[len(around) // 2]

    def _belongs_to_flash(self, index: int) -> bool:
        """Return whether a flash begins at ``index`` or ends before it, because the frames around the flash are similar."""
        lengths = range(1, _LONGEST_FLASH + 1)
        begins_flash = any((index - 1, index + length) in self._repeats for length in lengths)
        return begins_flash or any((index - 1 - length, index) in self._repeats for length in lengths)


def frame_distance(one: Tensor, other: Tensor) -> float:
    """Return the distance between two frames (3, H, W) of equal size, RGB in [0, 1]: 0 for equal frames, 1 for unrelated frames.

    It is the mean of two distances from 0 to 1. The first is the total variation distance between the color histograms, which
    ignores motion. The second is one minus the correlation of the gray images (means of the channels), clamped to 1, which ignores
    changes of exposure.
    """
    return (_histogram_distance(one, other) + _layout_distance(one, other)) / 2


def _histogram_distance(one: Tensor, other: Tensor) -> float:
    return float((_histogram(one) - _histogram(other)).abs().sum() / 2)


def _histogram(frame: Tensor) -> Tensor:
    """Return the joint color histogram (_LEVELS**3,) with the sum 1. Each color is distributed over the 8 bins around it."""
    position = frame.flatten(1) * (_LEVELS - 1)  # (3, N)
    below = position.floor().clamp(max=_LEVELS - 2)
    share = position - below
    histogram = torch.zeros(_LEVELS**3)
    for corner in range(8):
        above = torch.tensor([corner >> 2 & 1, corner >> 1 & 1, corner & 1])[:, None]
        red, green, blue = (below + above).long()
        weight = torch.where(above == 1, share, 1 - share).prod(0)
        histogram.index_add_(0, (red * _LEVELS + green) * _LEVELS + blue, weight)
    return histogram / position.shape[1]


def _layout_distance(one: Tensor, other: Tensor) -> float:
    """Return one minus the correlation of the gray images, which are the means of the channels. The result is at most 1.

    If a frame has no layout, the correlation is not defined. The result is then 1 if the other frame clearly has one, otherwise 0.
    """
    first, second = (frame.mean(0) - frame.mean() for frame in (one, other))
    contrasts = [float(frame.square().mean().sqrt()) for frame in (first, second)]
    if min(contrasts) < _MIN_CONTRAST:
        return float(max(contrasts) >= 2 * _MIN_CONTRAST)
    return min(1 - float((first * second).mean()) / (contrasts[0] * contrasts[1]), 1.0)
