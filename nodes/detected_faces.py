"""Detected faces of a batch, as passed between nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import Tensor

from ..psfr_core.errors import InputError
from ..psfr_core.faces.face import Face
from ..psfr_core.images.box import Size
from ..psfr_core.images.channels import to_rgb
from ..psfr_core.images.resize import resize_within

_PICTURE_SIDE = 1024
_MAX_PICTURES = 16


class Picture(NamedTuple):
    """The index of a frame and its copy for previews: (3, h, w), RGB in [0, 1], with sides of at most 1024 pixels."""

    frame: int
    pixels: Tensor


@dataclass(frozen=True, eq=False)  # comparing tensors does not yield a single bool
class DetectedFaces:
    """The faces of each frame, in pixels of frames of ``size``, and pictures of some frames.

    If the faces are tracked, ``pictures`` are the frames in which tracks start, at most 16. Otherwise, the only picture is the
    first frame with a face, or frame 0 if no frame has a face.
    """

    frames: tuple[tuple[Face, ...], ...]
    size: Size
    pictures: tuple[Picture, ...]

    @classmethod
    def of(cls, frames: Sequence[Sequence[Face]], images: Tensor) -> DetectedFaces:
        """Combine the faces of each frame with pictures from ``images`` (B, C, H, W), in which the faces were found."""
        starts = sorted({start.frame for start in track_starts(frames).values()})[:_MAX_PICTURES]
        shown = starts or [next((index for index, faces in enumerate(frames) if faces), 0)]
        pictures = (Picture(frame, _reduced(images[frame])) for frame in shown)
        return cls(tuple(map(tuple, frames)), Size.of(images), tuple(pictures))

    @property
    def count(self) -> int:
        """Return the number of faces in all frames."""
        return sum(len(faces) for faces in self.frames)

    def map(self, choose: Callable[[Sequence[Face]], Sequence[Face]]) -> DetectedFaces:
        """Return a copy in which ``choose`` was applied to the faces of each frame."""
        return replace(self, frames=tuple(tuple(choose(faces)) for faces in self.frames))

    def in_frames(self, images: Tensor) -> DetectedFaces:
        """Return a copy with the faces in pixels of ``images`` (B, C, H, W), which are the same frames at any size.

        Raise InputError if the number of frames or the aspect ratio differs.
        """
        if len(images) != len(self.frames):
            raise InputError(
                f"The faces belong to {len(self.frames)} images, but got {len(images)} images. "
                "Use the batch in which the faces were detected, or an upscaled copy of it."
            )
        size = Size.of(images)
        scaled = self.map(lambda faces: [face.scaled(self.size, size) for face in faces])
        return replace(scaled, size=size)


class TrackStart(NamedTuple):
    """The index of the first frame of a track, and the face in this frame."""

    frame: int
    face: Face


def track_starts(frames: Sequence[Sequence[Face]]) -> dict[int, TrackStart]:
    """Map the number of each track to its start, in the order of the frames. The result is empty if no face is tracked."""
    starts: dict[int, TrackStart] = {}
    for frame, faces in enumerate(frames):
        for face in faces:
            if face.track is not None:
                starts.setdefault(face.track, TrackStart(frame, face))
    return starts


def _reduced(image: Tensor) -> Tensor:
    return resize_within(to_rgb(image).clamp(0, 1), _PICTURE_SIDE).clamp(0, 1)
