"""Keep what the networks make of a face from changing from frame to frame where the face itself did not change."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images.filters import gaussian_blur

T = TypeVar("T")

_OUTLINE_SIDE = 128  # crops are compared at this size, so that noise and compression hardly count
_OUTLINE_BLUR = 2.0  # standard deviation in its pixels
_SPREAD = 2  # radius in its pixels: around a change, for example of an iris, the rest of the eye changes too, but less
_CHANGED = 0.03  # RMS difference of colors in [0, 1] from which a place counts as changed


@dataclass(frozen=True, eq=False)
class TrackLook:
    """One face of a frame: its track, the outline of its crop, and a tensor (C, S, S) to be averaged over time."""

    track: int
    outline: Tensor
    values: Tensor


def outline_of(crop: Tensor) -> Tensor:
    """Return a small blurred copy (3, K, K) of a crop (3, S, S) that ``unchanged`` compares."""
    side = min(_OUTLINE_SIDE, crop.shape[-1])
    return gaussian_blur(F.adaptive_avg_pool2d(crop.float(), side)[None], _OUTLINE_BLUR)[0]


def unchanged(outline: Tensor, other: Tensor, side: int) -> Tensor:
    """Return from 0 to 1 how far a face is the same in two aligned crops, (1, ``side``, ``side``), from their outlines.

    A blink, a smile or a hand is a change at its own place and close to it alone.
    """
    difference = (outline - other).square().mean(0, keepdim=True)
    difference = F.max_pool2d(difference[None], 2 * _SPREAD + 1, stride=1, padding=_SPREAD)[0]
    share = (1 - difference / _CHANGED**2).clamp(min=0).square()
    return F.interpolate(share[None], (side, side), mode="bilinear", align_corners=False)[0]


def average_look(look: TrackLook, neighbors: Sequence[TrackLook]) -> Tensor:
    """Return the values of ``look`` averaged with those of the same track in ``neighbors``, where the face is unchanged."""
    side = look.values.shape[-1]
    total, weights = look.values.float(), torch.ones_like(look.values[:1], dtype=torch.float32)
    for other in neighbors:
        if other.track == look.track:
            weight = unchanged(look.outline, other.outline, side)
            total = total + weight * other.values
            weights = weights + weight
    return total / weights


@dataclass(frozen=True)
class Window(Generic[T]):
    """An item of a sequence and those around it."""

    center: T
    neighbors: list[T]


def windows(items: Iterable[T], radius: int) -> Iterator[Window[T]]:
    """Yield each item with up to ``radius`` items before and after it, which is as far as the sequence is read ahead."""
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
