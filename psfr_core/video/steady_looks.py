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
_LEAST_SUM = 1e-6  # sum of weights below which no frame has a known value
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

    def average(self, values: Tensor | None, others: Mapping[int, Tensor | None]) -> Tensor:
        """Return the average (C, S, S), float32, of ``values`` and of those in ``others``, by the indices of their frames.

        None stands for values that are not known; at least one tensor must be given.
        """
        known = [
            (weight, tensor)
            for weight, tensor in zip(self.maps, (values, *map(others.get, self.frames)), strict=True)
            if tensor is not None
        ]
        maps = torch.stack([weight for weight, _ in known])
        maps = maps / maps.sum(0).clamp(min=_LEAST_SUM)
        side = known[0][1].shape[-2:]
        large = F.interpolate(maps, side, mode="bilinear", align_corners=False)
        total = known[0][1].float() * large[0]
        for weight, (_, tensor) in zip(large[1:], known[1:], strict=True):
            total.addcmul_(weight, tensor.float())
        return total

    def least_share(self, frames: Sequence[int], region: Tensor) -> Tensor:
        """Return the minimum of ``unchanged`` for ``frames`` in ``region`` (1, S, S), bool, as a scalar tensor.

        It is 0 if the face is missing in one of ``frames``.
        """
        if not set(frames) <= set(self.frames):
            return self.maps.new_zeros(())
        inside = F.adaptive_max_pool2d(region.float(), self.maps.shape[-2:]) > 0
        shares = self.maps[[1 + self.frames.index(frame) for frame in frames]] / self.maps[0]
        return shares.where(inside, 1).min()


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
