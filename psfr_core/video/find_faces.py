"""First pass over a video: find its faces and follow them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from ..errors import InputError, NoFaceError
from ..faces.selection import LeftOut, SelectionOptions, explain_selection
from ..images.box import Size
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore_options import NoFace, RestoreOptions
from ..restoration.second_opinion import with_second_opinion
from .face_log import FaceLog
from .scene_cuts import CUT_DISTANCE, SceneCutFinder
from .search_frames import FrameSearch
from .steady_alignment import Smoothing
from .tracks import Track, track_faces
from .video_options import VideoOptions, VideoProgress, VideoStep


@dataclass(frozen=True, eq=False)
class VideoFaces:
    """The faces of a video. Tracks are in pixels of upright frames of the size ``upright``.

    ``cuts`` are the indices of the first frames of all shots except the first one. ``repeats`` are the indices of the frames that
    are equal to the previous frame. ``left_out`` are the numbers of tracks that the selection left out, by reason.
    """

    tracks: list[Track]
    left_out: Mapping[LeftOut, int]
    cuts: list[int]
    repeats: frozenset[int]
    frame_count: int
    upright: Size


@dataclass
class _Findings:
    """Faces, repeated frames and cuts of the frames that were added so far, and the size of an upright frame."""

    faces: FaceLog = field(default_factory=FaceLog)
    repeats: set[int] = field(default_factory=set[int])
    cuts: SceneCutFinder = field(default_factory=SceneCutFinder)
    upright: Size | None = None

    def add(self, frames: Sequence[Tensor | None], search: FrameSearch) -> None:
        """Search the next ``frames`` (3, H, W), RGB in [0, 1], or None for a frame that is equal to the previous one."""
        images = [frame for frame in frames if frame is not None]
        begins_shot: list[bool] = []
        for frame in frames:
            if frame is None:
                self.cuts.repeat()
            else:
                begins_shot.append(self.cuts.add(frame) >= CUT_DISTANCE)
        results = iter(search.search(images, begins_shot))
        for frame in frames:
            if frame is None:
                self.repeats.add(len(self.faces))
                self.faces.repeat()
            else:
                self.faces.add(next(results))
                self.upright = Size.of(frame)


def find_faces(
    frames: Iterable[Tensor | None],
    models: RestorationModels,
    options: RestoreOptions,
    video: VideoOptions,
    *,
    progress: VideoProgress | None = None,
    estimated_frames: int = 0,
) -> VideoFaces:
    """Detect and follow the faces of all frames, and select among the tracks of each shot.

    If ``video.smoothing`` uses past and future frames, frames between two frames with the same faces are skipped (see
    ``FrameSearch``), and their faces are interpolated. ``frames`` are upright colors (3, H, W), RGB in [0, 1], or None for a frame
    that is equal to the previous one, so its faces are the same. ``progress`` is called after each group of frames, with at least
    ``estimated_frames`` as the total, and may raise to stop. Raises InputError if there is no frame, or if the detector returns
    invalid faces.
    """
    detector = with_second_opinion(models.detector, models.parse_net)
    search = FrameSearch(detector, options.detection, skips=video.smoothing is Smoothing.TWO_SIDED)
    found = _Findings()
    for batch in _batches(frames, search.frame_count):
        found.add(batch, search)
        if progress is not None:
            progress(VideoStep.FIND, len(found.faces), max(estimated_frames, len(found.faces)))
    if found.upright is None:
        raise InputError("A video needs at least one frame, got none.")
    cuts = found.cuts.cuts()
    tracks = track_faces(list(found.faces), cuts, video.tracks)
    kept, left_out = _selected(tracks, cuts, found.upright, options.selection)
    return VideoFaces(kept, left_out, cuts, frozenset(found.repeats), len(found.faces), found.upright)


def check_found(faces: VideoFaces, options: RestoreOptions, place: str) -> None:
    """Raise NoFaceError if ``options`` require a face but none was found; its message names the ``place``."""
    if not faces.tracks and options.no_face is NoFace.ERROR:
        raise NoFaceError(
            f"No face that fits the options was found in {place}. Lower the minimum score, size or share of frames, or allow "
            "videos without a face."
        )


def _batches(frames: Iterable[Tensor | None], size: int) -> Iterator[list[Tensor | None]]:
    """Yield groups of successive frames, each with at most ``size`` frames that are not None."""
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


def _selected(
    tracks: Sequence[Track], cuts: Sequence[int], size: Size, selection: SelectionOptions
) -> tuple[list[Track], Counter[LeftOut]]:
    """Return the tracks that ``selection`` chooses in each shot, and the numbers of the others by reason.

    A track is represented by its face in the middle frame, with the highest score of all its frames.
    """
    shots: dict[int, list[Track]] = {}
    for track in tracks:
        shots.setdefault(sum(cut <= track.start for cut in cuts), []).append(track)
    chosen: list[Track] = []
    left_out: Counter[LeftOut] = Counter()
    for of_shot in shots.values():
        faces = [
            replace(track.face(track.frames[len(track) // 2]), score=float(track.scores.max())) for track in of_shot
        ]
        explained = explain_selection(faces, size, selection)
        left_out.update(explained.left_out)
        for kept in explained.faces:
            chosen += [track for track, face in zip(of_shot, faces, strict=True) if face is kept]
    return chosen, left_out
