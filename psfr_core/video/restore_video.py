"""Restore the faces of a video, from file to file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..checks import check_type
from ..errors import NoFaceError, VideoFileError
from ..read_ahead import read_ahead
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore_options import NoFace, RestoreOptions
from ..restoration.second_opinion import with_second_opinion
from ..write_behind import write_behind
from .decoded_frames import DecodedFrame, numbered, upright_colors
from .face_plan import FacePlan
from .find_faces import find_faces
from .read_video import open_video
from .restore_frames import restore_frames
from .video_options import VideoOptions, VideoProgress
from .write_video import VideoWriter, copyable_streams, open_writer

if TYPE_CHECKING:
    import av

_FRAMES_BETWEEN_THREADS = 8  # decoded or restored frames that wait for the next step


@dataclass(frozen=True)
class VideoResult:
    """A summary of a restored video. ``damage`` describes what could not be decoded; empty if nothing."""

    frame_count: int
    face_count: int  # tracks of faces
    shot_count: int
    damage: str


@torch.no_grad()
def restore_video(
    source: str | Path,
    target: str | Path,
    models: RestorationModels,
    options: RestoreOptions | None = None,
    video: VideoOptions | None = None,
    *,
    progress: VideoProgress | None = None,
) -> VideoResult:
    """Restore the faces of the video file ``source`` and write it to ``target``, whose suffix chooses the container.

    The first pass finds and follows the faces, and the second pass restores them. Both stream, so memory does not grow with the
    length of the video. Sound, subtitles, timestamps, rotation, colors and metadata are kept. Samples outside the faces are those
    of the decoded frames. ``target`` appears when it is complete, and is not left after an error. ``progress`` may raise to stop.
    Raises VideoFileError for files that cannot be read or written, OptionError for options that do not fit, NoFaceError if the
    options require a face, and MissingPackageError without PyAV.
    """
    options, video = options or RestoreOptions(), video or VideoOptions()
    check_type(models, RestorationModels, "models")
    check_type(options, RestoreOptions, "options")
    check_type(video, VideoOptions, "video")
    source, target, timestamps = Path(source), Path(target), list[int]()
    with open_video(source) as reader:
        copyable_streams(reader, target)  # before hours of work
        decoded = upright_colors(reader, timestamps)
        with closing(read_ahead(decoded, lambda frame: frame, lambda _: 1, _FRAMES_BETWEEN_THREADS)) as frames:
            found = find_faces(
                frames,
                with_second_opinion(models.detector, models.parse_net),
                options.detection,
                options.selection,
                video.tracks,
                progress=progress,
                estimated_frames=reader.estimated_frames,
            )
        sample = reader.sample
    if sample is None:
        raise VideoFileError(f"{source} has no frame that can be decoded.")
    if not found.tracks and options.no_face is NoFace.ERROR:
        raise NoFaceError(_no_face(source))
    plan = FacePlan.of(found, video.smoothing, sample.quarters)
    with open_video(source) as reader:
        copied = copyable_streams(reader, target)
        with open_writer(target, reader, sample, video.encoding, copied) as writer:
            packets: list[av.Packet[Any]] = []
            frames = numbered(reader.frames(copied, packets.append), timestamps)
            restored = restore_frames(frames, found, plan, models, options, video, progress)
            for _ in write_behind(_writes(restored, packets, writer), threads=1, limit=_FRAMES_BETWEEN_THREADS):
                pass
    return VideoResult(found.frame_count, len(found.tracks), len(found.cuts) + 1, reader.damage.describe())


def _no_face(source: Path) -> str:
    return (
        f"No face that fits the options was found in {source}. Lower the minimum score, size or share of frames, or let "
        "videos without a face pass."
    )


def _writes(
    frames: Iterable[DecodedFrame], packets: list[av.Packet[Any]], writer: VideoWriter
) -> Iterator[tuple[Callable[[], None], float]]:
    """Yield the tasks that write ``frames`` and the ``packets`` read so far, with weights for ``write_behind``."""
    for frame in frames:
        yield from ((partial(writer.copy, packet), 0.0) for packet in packets)
        packets.clear()
        yield partial(writer.write, frame.frame), 1.0
    yield from ((partial(writer.copy, packet), 0.0) for packet in packets)
