"""Follow faces over the frames of a video."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ..checks import check_type
from ..errors import PositionError
from ..faces.face import Face, check_faces
from ..images.box import Box
from ..options import check_options, option
from .assignment import assign

# A cost is the mean distance of the landmarks, as a fraction of the side of the face, plus one minus the IoU of the boxes.
_MAX_COST = 1.3
_BONUS_PER_GAP = 0.05  # subtracted from the cost for each frame between the two faces, because predictions get worse
_MAX_GROWTH = 1.8  # maximum ratio of the sides of a face in successive frames of a track, also across a gap
_VELOCITY_FRAMES = 5  # number of found faces whose motion predicts the next position


@dataclass(frozen=True)
class TrackOptions:
    """Options for following faces over the frames of a video, and for dropping those that are found too rarely."""

    max_gap: int = option(8, "maximum number of successive frames without the face that are bridged", low=0, high=1000)
    min_frames: int = option(
        5, "minimum number of frames in which the face is found; fewer suffice in shorter shots", low=1, high=1000
    )
    min_share: float = option(0.5, "minimum share of frames in which the face is found, 0 to 1", low=0, high=1)

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, eq=False)
class Track:
    """The face of one person in successive frames of one shot.

    ``landmarks`` is float64 (N, 5, 2), ``boxes`` float64 (N, 4) and ``scores`` float64 (N,), one entry for each frame from
    ``start``. A score of 0 marks a frame in which the face was not found or that was not searched: its landmarks and box are
    interpolated.
    """

    start: int
    landmarks: Tensor
    boxes: Tensor
    scores: Tensor

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def frames(self) -> range:
        """Indices of the frames."""
        return range(self.start, self.start + len(self))

    def face(self, frame: int) -> Face:
        """Return the face in the frame with the index ``frame``. Raise PositionError if the track does not cover it."""
        if frame not in self.frames:
            raise PositionError(f"The track covers frames {self.start} to {self.frames[-1]}, not frame {frame}.")
        index = frame - self.start
        return Face(Box(*self.boxes[index].tolist()), self.landmarks[index].float(), float(self.scores[index]))


def track_faces(
    faces: Sequence[Sequence[Face] | None], cuts: Collection[int] = (), options: TrackOptions | None = None
) -> list[Track]:
    """Follow the ``faces`` of successive frames; return the tracks, ordered by their first frame.

    None stands for a frame that was not searched because it lies between two frames with the same faces. Faces are assigned to
    tracks with the least total cost. The cost depends on the overlap of the boxes and the distance of the landmarks from the
    position that the motion of the track predicts. No track crosses a cut; ``cuts`` are the indices of the first frames of shots.
    Gaps of up to ``max_gap`` frames are interpolated, as are frames that were not searched, which alone do not end a track. Faces
    that are found too rarely are dropped, so that a face is restored either throughout or not at all. Raises InputError for invalid
    faces (see ``check_faces``).
    """
    options = TrackOptions() if options is None else options
    check_type(options, TrackOptions, "options")
    for of_frame in faces:
        check_faces(of_frame or [])
    starts = sorted({0, *(cut for cut in cuts if 0 < cut < len(faces)), len(faces)})
    return [track for start, stop in pairwise(starts) for track in _tracks_of_shot(faces[start:stop], start, options)]


@dataclass
class _OpenTrack:
    """A track that may continue: the faces found so far, and the indices of their frames in the shot."""

    frames: list[int]
    faces: list[Face]

    def predict(self, frame: int) -> Face:
        """Return the face expected in ``frame``: the last face, moved with the mean velocity of the last few faces."""
        last, earlier = self.faces[-1], self.faces[-_VELOCITY_FRAMES:][0]
        elapsed = self.frames[-1] - self.frames[-_VELOCITY_FRAMES:][0]
        if elapsed == 0:
            return last
        velocity = (last.landmarks.mean(0) - earlier.landmarks.mean(0)) / elapsed
        x, y = (velocity * (frame - self.frames[-1])).tolist()
        box = Box(last.box.left + x, last.box.top + y, last.box.right + x, last.box.bottom + y)
        return Face(box, last.landmarks + last.landmarks.new_tensor([x, y]), last.score)


def _tracks_of_shot(faces: Sequence[Sequence[Face] | None], start: int, options: TrackOptions) -> list[Track]:
    """Return the tracks of one shot, whose first frame has the index ``start``."""
    tracks: list[_OpenTrack] = []
    searched: list[int] = []
    for frame, found in enumerate(faces):
        if found is None:
            continue
        # A gap begins only where a face is missing in a searched frame.
        reachable = [
            track
            for track in tracks
            if track.frames[-1] == searched[-1] or frame - track.frames[-1] - 1 <= options.max_gap
        ]
        pairs = _matches(reachable, found, frame)
        for track, face in pairs:
            track.frames.append(frame)
            track.faces.append(face)
        continued = [face for _, face in pairs]
        tracks += [_OpenTrack([frame], [face]) for face in found if not any(face is other for other in continued)]
        searched.append(frame)
    min_frames = min(options.min_frames, len(faces))
    return [
        _bridged(track, start) for track in tracks if _is_found_often(track, searched, min_frames, options.min_share)
    ]


def _is_found_often(track: _OpenTrack, searched: Sequence[int], min_frames: int, min_share: float) -> bool:
    """Return whether the face is found often enough, assuming the same share in the frames that were not searched."""
    first, last = track.frames[0], track.frames[-1]
    share = len(track.frames) / (bisect_right(searched, last) - bisect_left(searched, first))
    # rounding must not drop a face that is found in exactly the minimum number of frames
    return share >= min_share and share * (last - first + 1) > min_frames - 1e-6


def _matches(tracks: Sequence[_OpenTrack], faces: Sequence[Face], frame: int) -> list[tuple[_OpenTrack, Face]]:
    if not (tracks and faces):
        return []
    costs = torch.tensor([[_cost(track, face, frame) for face in faces] for track in tracks], dtype=torch.float64)
    return [(tracks[row], faces[column]) for row, column in assign(costs, _MAX_COST)]


def _cost(track: _OpenTrack, face: Face, frame: int) -> float:
    """Return the cost of ``face`` as the next face of ``track``; more than _MAX_COST if their sizes differ too much."""
    expected = track.predict(frame)
    side, expected_side = face.box.area**0.5, expected.box.area**0.5
    if max(side, expected_side) >= _MAX_GROWTH * min(side, expected_side):  # also for boxes without area
        return 2 * _MAX_COST
    distance = float((face.landmarks - expected.landmarks).norm(dim=1).mean()) / max(side, expected_side)
    gap = frame - track.frames[-1] - 1
    return max(distance + 1 - face.box.iou(expected.box) - _BONUS_PER_GAP * gap, 0.0)


def _bridged(track: _OpenTrack, start: int) -> Track:
    """Return the track with interpolated faces in its gaps. The shot begins with the frame ``start``."""
    first, last = track.frames[0], track.frames[-1]
    found = torch.tensor(track.frames) - first
    landmarks = torch.stack([face.landmarks.double() for face in track.faces])
    boxes = torch.tensor([tuple(face.box) for face in track.faces], dtype=torch.float64)
    scores = torch.zeros(last - first + 1, dtype=torch.float64)
    # A score of 0 would mark a frame without the face.
    scores[found] = torch.tensor([face.score for face in track.faces], dtype=torch.float64).clamp(min=1e-6)
    return Track(
        start + first, interpolated(landmarks, found, len(scores)), interpolated(boxes, found, len(scores)), scores
    )


def interpolated(values: Tensor, known: Tensor, count: int) -> Tensor:
    """Interpolate float64 ``values`` (K, ...) linearly from the ascending indices ``known`` (K,) to all indices below ``count``.

    ``known`` must contain 0 and ``count`` - 1.
    """
    index = torch.arange(count)
    after = torch.searchsorted(known, index)
    before = torch.where(known[after] == index, after, after - 1)
    span = (known[after] - known[before]).clamp(min=1)
    share = ((index - known[before]) / span).double().reshape(-1, *[1] * (values.ndim - 1))
    return torch.lerp(values[before], values[after], share)
