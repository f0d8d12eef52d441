"""Where the faces of each frame are, and how strongly they are restored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InputError
from ..faces.face import Face
from ..images.box import Size
from ..images.similarity import affine_scale, compose_affines
from .find_faces import VideoFaces
from .orientation import upright_affine
from .steady_alignment import Smoothing, align_track, crop_transform
from .tracks import Track

FADE_FRAMES = 4  # a face appears and disappears over so many frames


class CropTransforms(NamedTuple):
    """The final transforms of a plan: one (N, 2, 3) per track, from stored frames to crops with this side."""

    size: int
    of_tracks: Sequence[Tensor]


class PlannedFace(NamedTuple):
    """A face of one frame: its track, its place in the stored frame, and from 0 to 1 how far it is faded in.

    ``side`` is that of its crop in pixels of the frame, the median over the track: one restorer serves the whole track.
    """

    track: int
    face: Face
    image_to_crop: Tensor
    strength: float
    side: float


@dataclass(frozen=True, eq=False)
class FacePlan:
    """The faces of all frames of a video; ``faces_in`` returns those of one.

    ``repeats`` are the frames that are equal to the one before. Without ``registered``, crops are registered with each other
    while they are cut; see ``CropCutter``.
    """

    tracks: Sequence[Track]
    transforms: Sequence[Tensor]  # one (N, 2, 3) per track, from stored frames to the crop of one pixel
    strengths: Sequence[Tensor]  # one (N,) per track
    sides: Sequence[float]  # one per track
    repeats: frozenset[int]
    frame_count: int
    registered: CropTransforms | None = None

    @classmethod
    def of(cls, found: VideoFaces, smoothing: Smoothing, quarters: int = 0) -> FacePlan:
        """Align the tracks, and fade them in and out where a shot goes on without them.

        ``quarters`` counterclockwise quarter turns make the stored frames upright.
        """
        width, height = found.upright
        to_upright = upright_affine(quarters, Size(height, width) if quarters % 2 else found.upright)
        transforms = [
            torch.stack([compose_affines(to_upright, one) for one in align_track(track, smoothing)])
            for track in found.tracks
        ]
        borders = {0, *found.cuts, found.frame_count}
        strengths = [_strengths(track, borders) for track in found.tracks]
        sides = [_median_side(of_track) for of_track in transforms]
        return cls(found.tracks, transforms, strengths, sides, found.repeats, found.frame_count)

    def faces_in(self, frame: int, crop_size: int) -> list[PlannedFace]:
        """Return the faces of the frame with this index, in the order of the tracks.

        Raises InputError if the plan was registered for crops of another size.
        """
        if self.registered is not None and self.registered.size != crop_size:
            raise InputError(
                f"The plan is for crops of {self.registered.size} px, but the generator needs {crop_size} px. Plan the clip again."
            )
        return [
            PlannedFace(
                index,
                track.face(frame),
                self._crop_transform(index, frame - track.start, crop_size),
                float(self.strengths[index][frame - track.start]),
                self.sides[index],
            )
            for index, track in enumerate(self.tracks)
            if frame in track.frames
        ]

    def _crop_transform(self, track: int, index: int, crop_size: int) -> Tensor:
        if self.registered is not None:
            return self.registered.of_tracks[track][index]
        return crop_transform(self.transforms[track][index], crop_size)


def _strengths(track: Track, borders: set[int]) -> Tensor:
    """Return from 0 to 1 the strength (N,) of the frames; a track that begins or ends at a border of a shot is not faded."""
    position = torch.arange(1, len(track) + 1).double() / (FADE_FRAMES + 1)
    rise = torch.ones(len(track)).double() if track.frames.start in borders else position.clamp(max=1)
    fall = torch.ones(len(track)).double() if track.frames.stop in borders else position.flip(0).clamp(max=1)
    return torch.minimum(rise, fall)


def _median_side(transforms: Tensor) -> float:
    """Return the median side of the crops (N, 2, 3) in pixels of the frames."""
    return median(1 / affine_scale(one) for one in transforms)
