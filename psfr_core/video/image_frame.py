"""Wrap image tensors as video frames whose faces are replaced in place."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..images.box import PixelBox, Size


@dataclass(eq=False)
class ImageFrame:
    """An image (C, H, W) and its paste mask (1, H, W), both changed in place. It implements ``MovingFrame`` and ``Planes``."""

    index: int
    image: Tensor
    mask: Tensor

    @property
    def size(self) -> Size:
        """Size of the image."""
        return Size.of(self.image)

    def to_read(self) -> ImageFrame:
        """Return the frame itself."""
        return self

    def to_write(self) -> ImageFrame:
        """Return the frame itself."""
        return self

    def repeat(self, before: ImageFrame) -> None:
        """Copy the colors and the mask of the frame ``before``."""
        self.image.copy_(before.image)
        self.mask.copy_(before.mask)

    def fit(self, box: PixelBox) -> PixelBox:
        """Return the part of ``box`` inside the image."""
        return box.within(self.size)

    def read(self, box: PixelBox) -> Tensor:
        """Return the colors (C, h, w) in ``box``, with alpha if the image has it."""
        return box.cut(self.image).clone()

    def write(self, box: PixelBox, before: Tensor, after: Tensor, mask: Tensor) -> None:
        """Replace the colors in ``box``, which were ``before``, by ``after`` where ``mask`` (1, h, w) is above 0.

        The paste mask of the frame becomes ``mask`` in the whole box.
        """
        box.cut(self.image).copy_(after.where(mask > 0, before))
        box.cut(self.mask).copy_(mask)
