"""First pass over a video: find its faces and follow them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, VideoFileError
from ..faces.detection_options import DetectionOptions
from ..faces.face import FaceDetector
from ..faces.selection import SelectionOptions, select_faces
from ..images.box import Size
from .face_log import FaceLog
from .orientation import turn_upright
from .pixel_formats import plane_arrays
from .read_video import FrameSample, VideoReader
from .scene_cuts import SceneCutFinder
from .tracks import Track, TrackOptions, track_faces
from .video_options import VideoProgress, VideoStep

if TYPE_CHECKING:
    import av

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class VideoFaces:
    """The faces of a video. Tracks are in pixels of upright frames of the size ``upright``.

    ``repeats`` are the frames that are equal to the one before, and ``timestamps`` those of all frames.
    """

    tracks: list[Track]
    cuts: list[int]
    repeats: frozenset[int]
    timestamps: list[int]
    upright: Size
    sample: FrameSample

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        return len(self.timestamps)


@dataclass
class _Findings:
    faces: FaceLog = field(default_factory=FaceLog)
    repeats: set[int] = field(default_factory=set[int])
    cuts: SceneCutFinder = field(default_factory=SceneCutFinder)
    timestamps: list[int] = field(default_factory=list[int])
    upright: Size | None = None


def find_faces(
    reader: VideoReader,
    detector: FaceDetector,
    detection: DetectionOptions | None,
    selection: SelectionOptions,
    options: TrackOptions,
    progress: VideoProgress | None = None,
) -> VideoFaces:
    """Detect and follow the faces of all frames; the selection is made once for each shot, among its tracks.

    A frame that is equal to the one before has its faces. Raises VideoFileError if there is no frame.
    """
    found = _Findings()
    batch_size = (detection or DetectionOptions()).batch_size
    total = reader.estimated_frames
    for batch in _batches(_new_frames(reader, found), batch_size):
        _detect(batch, detector, detection, found)
        if progress is not None:
            progress(VideoStep.FIND, len(found.faces), max(total, len(found.faces)))
    if found.upright is None or reader.sample is None:
        raise VideoFileError(f"{reader.path} has no frame that can be decoded.")
    cuts = found.cuts.cuts()
    tracks = _selected(track_faces(list(found.faces), cuts, options), cuts, found.upright, selection)
    return VideoFaces(
        tracks,
        cuts,
        frozenset(found.repeats),
        found.timestamps,
        found.upright,
        reader.sample,
    )


def _new_frames(reader: VideoReader, found: _Findings) -> Iterator[Tensor | None]:
    """Yield the upright colors (3, H, W) of each frame, or None for one that is equal to the frame before."""
    before: av.VideoFrame | None = None
    for index, frame in enumerate(reader.frames()):
        sample = reader.sample or FrameSample.of(frame)
        if before is None and sample.is_interlaced:
            _log.warning("%s is interlaced: fields are restored as one image. Deinterlace it first.", reader.path)
        found.timestamps.append(int(frame.pts or 0))
        if before is not None and _are_equal(before, frame):
            found.repeats.add(index)
            yield None
        else:
            yield _colors(frame, sample.quarters)
        before = frame


def _colors(frame: av.VideoFrame, quarters: int) -> Tensor:
    pixels = torch.from_numpy(frame.to_ndarray(format="rgb24"))
    return turn_upright(pixels.permute(2, 0, 1).float() / 255, quarters).contiguous()


def _are_equal(one: av.VideoFrame, other: av.VideoFrame) -> bool:
    planes = zip(plane_arrays(one), plane_arrays(other), strict=True)
    return one.format.name == other.format.name and all(np.array_equal(first, second) for first, second in planes)


def _batches(frames: Iterable[Tensor | None], size: int) -> Iterator[list[Tensor | None]]:
    """Group frames such that each group has at most ``size`` frames that are not None."""
    batch: list[Tensor | None] = []
    count = 0
    for frame in frames:
        if frame is not None and count == size:
            yield batch
            batch, count = [], 0
        batch.append(frame)
        count += frame is not None
    if batch:
        yield batch


def _detect(
    batch: Sequence[Tensor | None], detector: FaceDetector, detection: DetectionOptions | None, found: _Findings
) -> None:
    images = [frame for frame in batch if frame is not None]
    given = [] if detection is None else [detection]  # detectors of users may not take options
    results = detector.detect(torch.stack(images), *given) if images else []
    if len(results) != len(images):
        raise InputError(f"The detector must return one list of faces per image, got {len(results)} for {len(images)}.")
    fresh = iter(zip(images, results, strict=True))
    last: Tensor | None = None
    for frame in batch:
        if frame is None:
            found.faces.repeat()
            found.cuts.repeat()
        else:
            last, faces = next(fresh)
            found.faces.add(faces)
            found.cuts.add(last)
            found.upright = Size.of(last)


def _selected(tracks: Sequence[Track], cuts: Sequence[int], size: Size, selection: SelectionOptions) -> list[Track]:
    """Return the tracks that ``selection`` chooses in each shot, by their faces in the middle frames."""
    shots: dict[int, list[Track]] = {}
    for track in tracks:
        shots.setdefault(sum(cut <= track.start for cut in cuts), []).append(track)
    chosen: list[Track] = []
    for of_shot in shots.values():
        faces = [
            replace(track.face(track.frames[len(track) // 2]), score=float(track.scores.max())) for track in of_shot
        ]
        for kept in select_faces(faces, size, selection):
            chosen += [track for track, face in zip(of_shot, faces, strict=True) if face is kept]
    return chosen
