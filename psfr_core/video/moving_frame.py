"""Protocols for frames whose faces can be read and replaced: decoded video frames and image tensors."""

from __future__ import annotations

from typing import Protocol, TypeVar

from torch import Tensor

from ..images.box import PixelBox, Size

F = TypeVar("F", bound="MovingFrame")


class Planes(Protocol):
    """The samples of a frame."""

    @property
    def size(self) -> Size:
        """Size of the frame."""
        ...

    def fit(self, box: PixelBox) -> PixelBox:
        """Return ``box`` clipped to the frame, and extended if ``read`` and ``write`` need it."""
        ...

    def read(self, box: PixelBox) -> Tensor:
        """Return the colors (C, h, w) in ``box``: gray or RGB, with alpha if the frame has it."""
        ...

    def write(self, box: PixelBox, before: Tensor, after: Tensor, mask: Tensor) -> None:
        """Replace the colors in ``box``, which were ``before``, by ``after`` where ``mask`` (1, h, w) is above 0."""
        ...


class MovingFrame(Protocol):
    """A frame of a video. ``index`` is its position, or -1 if the first pass did not see the frame."""

    index: int

    def to_read(self) -> Planes:
        """Return the samples, which must not be changed."""
        ...

    def to_write(self) -> Planes:
        """Return samples that can be changed."""
        ...

    def repeat(self: F, before: F) -> None:
        """Copy the samples of the frame ``before``."""
        ...
