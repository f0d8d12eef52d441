"""Define sizes and axis-aligned boxes."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor

_ASPECT_TOLERANCE = 0.01


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int

    @staticmethod
    def of(image: Tensor) -> Size:
        """Return the size of an image tensor (..., H, W)."""
        return Size(image.shape[-1], image.shape[-2])

    def has_aspect_of(self, other: Size) -> bool:
        """Return whether the two aspect ratios differ by at most one percent, which allows for rounding to whole pixels."""
        return abs(self.width * other.height / (self.height * other.width) - 1) <= _ASPECT_TOLERANCE


class Box(NamedTuple):
    """An axis-aligned box in pixels of its image.

    (0, 0) is the outer corner of the top-left pixel. Right and bottom are exclusive.
    """

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def area(self) -> float:
        return max(self.width, 0.0) * max(self.height, 0.0)

    @property
    def shorter_side(self) -> float:
        return min(self.width, self.height)

    @property
    def center(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def iou(self, other: Box) -> float:
        """Return the intersection over union of the two boxes, from 0 to 1; 0 if neither has an area."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        shared = max(width, 0.0) * max(height, 0.0)
        union = self.area + other.area - shared
        return shared / union if union else 0.0

    def contains(self, point: tuple[float, float]) -> bool:
        """Return whether ``point`` (x, y) lies in this box."""
        x, y = point
        return self.left <= x < self.right and self.top <= y < self.bottom

    def to_pixels(self, size: Size, margin: int = 0) -> PixelBox:
        """Return the pixels that this box touches, extended by ``margin`` and clipped to an image of ``size``."""
        return PixelBox(
            min(max(math.floor(self.left) - margin, 0), size.width),
            min(max(math.floor(self.top) - margin, 0), size.height),
            min(max(math.ceil(self.right) + margin, 0), size.width),
            min(max(math.ceil(self.bottom) + margin, 0), size.height),
        )


class PixelBox(NamedTuple):
    """A rectangle of whole pixels. Right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> Size:
        return Size(max(self.right - self.left, 0), max(self.bottom - self.top, 0))

    @property
    def is_empty(self) -> bool:
        return 0 in self.size

    def intersection(self, other: PixelBox) -> PixelBox:
        """Return the rectangle of the pixels in both rectangles, which is empty if they do not overlap."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        return PixelBox(left, top, min(self.right, other.right), min(self.bottom, other.bottom))

    def within(self, size: Size) -> PixelBox:
        """Return this rectangle clipped to an image of ``size``."""
        return self.intersection(PixelBox(0, 0, size.width, size.height))

    def cut(self, image: Tensor) -> Tensor:
        """Return a view of the part of ``image`` (..., H, W) inside this rectangle."""
        return image[..., self.top : self.bottom, self.left : self.right]
