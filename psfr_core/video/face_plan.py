"""Plan where the faces of each frame are, and how strongly they are restored."""

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

FADE_FRAMES = 4  # number of frames over which a face fades in or out


class CropTransforms(NamedTuple):
    """The final transforms of a plan: one (N, 2, 3) per track, from stored frames to crops with a side of ``size`` pixels."""

    size: int
    of_tracks: Sequence[Tensor]


class PlannedFace(NamedTuple):
    """A face in one frame.

    ``track`` is the index of its track. ``face`` is in pixels of the upright frame. ``image_to_crop`` (2, 3) maps pixels of the
    stored frame to the crop. ``strength`` is 1, or lower while the face fades in or out. ``side`` is the median side of the crops
    of the track, in pixels of the frame, so that the whole track has the same restorer.
    """

    track: int
    face: Face
    image_to_crop: Tensor
    strength: float
    side: float


@dataclass(frozen=True, eq=False)
class FacePlan:
    """The faces of all frames of a video. ``faces_in`` returns the faces of one frame.

    ``repeats`` are the indices of the frames that are equal to the previous frame. If ``registered`` is None, ``CropCutter``
    registers the crops with each other while it cuts them, unless the smoothing is NONE.
    """

    tracks: Sequence[Track]
    # one (N, 2, 3) per track, from stored frames to a crop of 1 x 1 pixel; see crop_transform
    transforms: Sequence[Tensor]
    strengths: Sequence[Tensor]  # one (N,) per track, from 0 to 1
    sides: Sequence[float]  # one per track, see PlannedFace.side
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
        """Return the faces of the frame with the index ``frame``, in the order of the tracks.

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
    """Return the strengths (N,) of the frames of a track. A track does not fade where it begins or ends at a border of a shot."""
    position = torch.arange(1, len(track) + 1).double() / (FADE_FRAMES + 1)
    rise = torch.ones(len(track)).double() if track.frames.start in borders else position.clamp(max=1)
    fall = torch.ones(len(track)).double() if track.frames.stop in borders else position.flip(0).clamp(max=1)
    return torch.minimum(rise, fall)


def _median_side(transforms: Tensor) -> float:
    """Return the median side of the crops of ``transforms`` (N, 2, 3) in pixels of the frames."""
    return median(1 / affine_scale(one) for one in transforms)
