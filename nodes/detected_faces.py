"""The faces of a batch of frames, as they travel from node to node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from ..psfr_core.errors import InputError
from ..psfr_core.faces.face import Face
from ..psfr_core.images.box import Size
from ..psfr_core.images.channels import to_rgb
from ..psfr_core.images.resize import resize_within

_PICTURE_SIDE = 1024


@dataclass(frozen=True, eq=False)  # tensors do not compare to one bool
class DetectedFaces:
    """The faces of each frame, in pixels of frames of ``size``, and a picture to show them in.

    ``picture`` (3, h, w), RGB in [0, 1], is frame ``picture_frame`` made small: the first one with a face.
    """

    frames: tuple[tuple[Face, ...], ...]
    size: Size
    picture: Tensor
    picture_frame: int

    @classmethod
    def of(cls, frames: Sequence[Sequence[Face]], images: Tensor) -> DetectedFaces:
        """The faces found in ``images`` (B, C, H, W)."""
        shown = next((index for index, faces in enumerate(frames) if faces), 0)
        picture = resize_within(to_rgb(images[shown]).clamp(0, 1), _PICTURE_SIDE).clamp(0, 1)
        return cls(tuple(map(tuple, frames)), Size.of(images), picture, shown)

    @property
    def count(self) -> int:
        """How many faces there are in all frames."""
        return sum(len(faces) for faces in self.frames)

    def map(self, choose: Callable[[Sequence[Face]], Sequence[Face]]) -> DetectedFaces:
        """The faces that ``choose`` gives for those of each frame."""
        return replace(self, frames=tuple(tuple(choose(faces)) for faces in self.frames))

    def in_frames(self, images: Tensor) -> DetectedFaces:
        """The faces in pixels of ``images`` (B, C, H, W), the same frames at any size.

        Raises InputError for another number of frames or another aspect ratio.
        """
        if len(images) != len(self.frames):
            raise InputError(
                f"The faces are those of {len(self.frames)} images, but there are {len(images)} here. "
                "Use the batch that the faces were found in, or that batch upscaled."
            )
        size = Size.of(images)
        scaled = self.map(lambda faces: [face.scaled(self.size, size) for face in faces])
        return replace(scaled, size=size)
