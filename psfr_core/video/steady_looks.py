"""Average the crops and results of a face over time where the face does not change, so that it does not flicker."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images.filters import gaussian_blur

T = TypeVar("T")

_OUTLINE_SIDE = 128  # side in pixels at which crops are compared; noise and compression have little effect at this size
_OUTLINE_BLUR = 2.0  # standard deviation of the blur, in pixels of the outline
# A change counts in all pixels within this radius around it, in pixels of the outline, because its surroundings change too little
# to be detected.
_SPREAD = 2
_LEAST_WEIGHT = 1e-6  # added to the weights of known values, which then count equally where all of their frames differ
_CHANGED = 0.03  # RMS difference of colors in [0, 1] from which a pixel counts as changed


def outline_of(crop: Tensor) -> Tensor:
    """Return a blurred copy (3, K, K), float32, of a crop (3, S, S) for ``unchanged``, where K is min(S, 128)."""
    side = min(_OUTLINE_SIDE, crop.shape[-1])
    return gaussian_blur(F.adaptive_avg_pool2d(crop.float(), side)[None], _OUTLINE_BLUR)[0]


def unchanged(outline: Tensor, other: Tensor) -> Tensor:
    """Compare the outlines (3, K, K) of two aligned crops, and return a map (1, K, K) from 0, different, to 1, equal.

    A blink, a smile or a hand lowers the map only in its place and close to it.
    """
    difference = (outline - other).square().mean(0, keepdim=True)
    difference = F.max_pool2d(difference[None], 2 * _SPREAD + 1, stride=1, padding=_SPREAD)[0]
    return (1 - difference / _CHANGED**2).clamp(min=0).square()


@dataclass(frozen=True, eq=False)
class FrameWeights:
    """Weights that average the face of one frame with the same face in N other ``frames``, which are given by their indices.

    ``maps`` (1 + N, 1, K, K) has one map for the frame itself, followed by one for each of ``frames``. They add up to 1.
    """

    frames: list[int]
    maps: Tensor

    @classmethod
    def of(cls, outline: Tensor, others: Mapping[int, Tensor]) -> FrameWeights:
        """Compute the weights from the ``outline`` of the face (3, K, K) and its outlines in ``others``, by frame index."""
        maps = [torch.ones_like(outline[:1]), *(unchanged(outline, other) for other in others.values())]
        weights = torch.stack(maps)
        return cls(list(others), weights / weights.sum(0))

    def average(self, values: Tensor | None, others: Mapping[int, Tensor | None]) -> Tensor:
        """Return the average (C, S, S), float32, of the ``values`` (C, S, S) of the frame and those of ``others``, by frame index.

        A frame whose values are None or missing does not count; at least one frame must have values. Where the weights of all
        frames with values are 0, these frames count equally.
        """
        known = [
            (weight, tensor)
            for weight, tensor in zip(self.maps, (values, *map(others.get, self.frames)), strict=True)
            if tensor is not None
        ]
        maps = torch.stack([weight for weight, _ in known]) + _LEAST_WEIGHT
        maps = maps / maps.sum(0)
        side = known[0][1].shape[-2:]
        large = F.interpolate(maps, side, mode="bilinear", align_corners=False)
        total = known[0][1].float() * large[0]
        for weight, (_, tensor) in zip(large[1:], known[1:], strict=True):
            total.addcmul_(weight, tensor.float())
        return total

    def least_share(self, frames: Sequence[int], region: Tensor) -> Tensor:
        """Return the minimum of ``unchanged`` over ``frames`` and the pixels of ``region`` (1, S, S), bool, as a scalar tensor.

        The result is 0 if the face is missing in one of ``frames``, and otherwise 1 if ``region`` is empty.
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
    """Yield each item with up to ``radius`` items on each side of it. ``radius`` items are read ahead."""
    iterator = iter(items)
    before: deque[T] = deque(maxlen=radius)
    after = deque(islice(iterator, radius + 1))
    while after:
        center = after.popleft()
        yield Window(center, [*before, *after])
        before.append(center)
        after.extend(islice(iterator, 1))
