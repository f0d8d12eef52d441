"""Restore the faces of a video, from file to file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..checks import check_type
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore_options import RestoreOptions
from ..write_behind import write_behind
from .decoded_frames import DecodedFrame, numbered
from .face_plan import FacePlan
from .first_pass import find_and_align
from .read_video import open_video
from .restore_frames import restore_frames
from .video_options import VideoOptions, VideoProgress
from .write_video import VideoWriter, choose_output, copyable_streams, open_writer

if TYPE_CHECKING:
    import av

_FRAMES_BETWEEN_THREADS = 8  # maximum number of restored frames that wait for the encoder


@dataclass(frozen=True)
class VideoResult:
    """A summary of a restored video. ``damage`` describes the parts that could not be decoded; it is empty if there are none."""

    frame_count: int
    face_count: int  # number of tracks
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
    """Restore the faces of the video file ``source`` and write the video to ``target``, whose suffix chooses the container.

    The first pass finds and follows the faces, and the second pass restores them. Both stream, so memory hardly grows with the
    length of the video. Sound, subtitles, timestamps, rotation, colors and metadata are kept. Until they are encoded, samples
    outside the faces are those of the decoded frames. ``target`` appears when it is complete, and is not left after an error.
    ``progress`` may raise to stop. Raises VideoFileError or OSError for files that cannot be read or written, OptionError for an
    encoding that is not possible, NoFaceError if the options require a face but none is found, and MissingPackageError if PyAV is
    not installed.
    """
    options, video = options or RestoreOptions(), video or VideoOptions()
    check_type(models, RestorationModels, "models")
    check_type(options, RestoreOptions, "options")
    check_type(video, VideoOptions, "video")
    source, target = Path(source), Path(target)
    encoding = choose_output(source, target, video.encoding)  # raises errors before hours of work
    first = find_and_align(source, models, options, video, progress)
    with open_video(source) as reader:
        copied = copyable_streams(reader, target)
        with open_writer(target, reader, first.sample, encoding, copied) as writer:
            packets: list[av.Packet[Any]] = []
            frames = numbered(reader.frames(copied, packets.append), first.timestamps)
            restored = restore_frames(frames, first.faces, models, options, video, progress)
            write_frames(restored, packets, writer)
    return result_of(first.faces, first.shot_count, reader.damage.describe())


def result_of(plan: FacePlan, shot_count: int, damage: str = "") -> VideoResult:
    """Return the summary of a video whose faces are restored by ``plan``."""
    return VideoResult(plan.frame_count, len(plan.tracks), shot_count, damage)


def write_frames(frames: Iterable[DecodedFrame], packets: list[av.Packet[Any]], writer: VideoWriter) -> None:
    """Encode ``frames`` in another thread, and copy the ``packets`` that the reader adds meanwhile."""
    for _ in write_behind(_writes(frames, packets, writer), threads=1, limit=_FRAMES_BETWEEN_THREADS):
        pass


def _writes(
    frames: Iterable[DecodedFrame], packets: list[av.Packet[Any]], writer: VideoWriter
) -> Iterator[tuple[Callable[[], None], float]]:
    """Yield the tasks that write ``frames`` and the ``packets`` read so far, with weights for ``write_behind``."""
    for frame in frames:
        yield from ((partial(writer.copy, packet), 0.0) for packet in packets)
        packets.clear()
        yield partial(writer.write, frame.frame), 1.0
    yield from ((partial(writer.copy, packet), 0.0) for packet in packets)
