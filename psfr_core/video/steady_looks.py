"""Average the crops and results of a face over time where the face does not change, so that it does not flicker."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images.filters import gaussian_blur

T = TypeVar("T")

_OUTLINE_SIDE = 128  # crops are compared at this size, so that noise and compression hardly count
_OUTLINE_BLUR = 2.0  # standard deviation in pixels of the outline
_SPREAD = 2  # radius in pixels of the outline; the surroundings of a change, such as a moving iris, change less
_CHANGED = 0.03  # RMS difference of colors in [0, 1] from which a pixel counts as changed


def outline_of(crop: Tensor) -> Tensor:
    """Return a small blurred copy (3, K, K) of a crop (3, S, S) that ``unchanged`` compares."""
    side = min(_OUTLINE_SIDE, crop.shape[-1])
    return gaussian_blur(F.adaptive_avg_pool2d(crop.float(), side)[None], _OUTLINE_BLUR)[0]


def unchanged(outline: Tensor, other: Tensor) -> Tensor:
    """Return a map (1, K, K) from 0, where two aligned crops differ, to 1, where they are equal, by their outlines (3, K, K).

    A blink, a smile or a hand lowers the map only in its place and close to it.
    """
    difference = (outline - other).square().mean(0, keepdim=True)
    difference = F.max_pool2d(difference[None], 2 * _SPREAD + 1, stride=1, padding=_SPREAD)[0]
    return (1 - difference / _CHANGED**2).clamp(min=0).square()


@dataclass(frozen=True, eq=False)
class FrameWeights:
    """Weights with which a face of one frame and of ``frames`` around it are averaged.

    ``maps`` (1 + N, 1, K, K) has one map for the face itself, followed by one for each of the N frames. Their sum is 1.
    """

    frames: list[int]
    maps: Tensor

    @classmethod
    def of(cls, outline: Tensor, others: Mapping[int, Tensor]) -> FrameWeights:
        """Return the weights of a face with ``outline`` and of its outlines in other frames, by the indices of these frames."""
        maps = [torch.ones_like(outline[:1]), *(unchanged(outline, other) for other in others.values())]
        weights = torch.stack(maps)
        return cls(list(others), weights / weights.sum(0))

    def average(self, values: Tensor, others: Mapping[int, Tensor]) -> Tensor:
        """Return the average, float32, of ``values`` (C, S, S) and of those in ``others``, by the indices of their frames."""
        maps = F.interpolate(self.maps, values.shape[-2:], mode="bilinear", align_corners=False)
        total = values.float() * maps[0]
        for weight, frame in zip(maps[1:], self.frames, strict=True):
            total.addcmul_(weight, others[frame].float())
        return total


@dataclass(frozen=True)
class Window(Generic[T]):
    """An item of a sequence, and its neighbors before and after it."""

    center: T
    neighbors: list[T]


def windows(items: Iterable[T], radius: int) -> Iterator[Window[T]]:
    """Yield each item with up to ``radius`` items before and after it. ``radius`` items are read ahead."""
    recent: deque[T] = deque(maxlen=2 * radius + 1)
    ahead = 0  # items after the last center
    for item in items:
        recent.append(item)
        ahead += 1
        if ahead > radius:
            ahead -= 1
            yield _window(recent, ahead, radius)
    while ahead:
        ahead -= 1
        yield _window(recent, ahead, radius)


def _window(recent: Sequence[T], ahead: int, radius: int) -> Window[T]:
    center = len(recent) - 1 - ahead
    neighbors = [item for index, item in enumerate(recent) if index != center and abs(index - center) <= radius]
    return Window(recent[center], neighbors)
