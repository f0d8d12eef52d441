"""Restore some successive frames of a video file."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path

import torch

from ..checks import check_type
from ..errors import InputError
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore_options import RestoreOptions
from .clip_plan import ClipPlan, FrameChangedError, planned_frames
from .decoded_frames import DecodedFrame
from .encoding import Encoding
from .read_video import FrameSample, open_video, read_sample
from .restore_frames import frames_around, restore_frames
from .restore_video import write_frames
from .video_options import VideoOptions, VideoProgress, VideoStep
from .write_video import open_writer

SEGMENT_SUFFIX = ".mkv"

_MIN_DISTANCE = Fraction(1, 1000)  # seconds; Matroska rounds times to milliseconds

_log = logging.getLogger(__name__)


@torch.no_grad()
def restore_segment(
    source: str | Path,
    plan: ClipPlan,
    start: int,
    stop: int,
    segment: str | Path,
    models: RestorationModels,
    encoding: Encoding,
    options: RestoreOptions | None = None,
    video: VideoOptions | None = None,
    *,
    progress: VideoProgress | None = None,
) -> None:
    """Restore the frames of ``source`` from ``start`` up to, but not including, ``stop``, and write them to the file ``segment``.

    ``plan`` is the result of ``plan_clip`` for the same models and options, and ``encoding`` that of ``choose_output``. The
    restored frames do not depend on where segments begin, because the frames around the segment are read as well; only rounding
    may differ if batches have several faces. ``segment`` appears when it is complete. ``progress`` counts its frames, and may
    raise to stop. Raises InputError for frames that the plan does not have and for a suffix other than .mkv, and VideoFileError
    or OSError for files that cannot be read or written.
    """
    options, video = options or RestoreOptions(), video or VideoOptions()
    check_type(plan, ClipPlan, "plan")
    check_type(encoding, Encoding, "encoding")
    source, segment = Path(source), Path(segment)
    if not 0 <= start < stop <= len(plan):
        raise InputError(f"The plan has frames 0 to {len(plan) - 1}, not {start} to {stop - 1}.")
    if segment.suffix != SEGMENT_SUFFIX:
        raise InputError(f"{segment}: segments are {SEGMENT_SUFFIX} files.")
    task = _Segment(source, plan, start, stop, read_sample(source))
    try:
        task.restore(segment, models, encoding, options, video, progress, seeks=True)
    except FrameChangedError as error:
        _log.debug("%s: decoding from the beginning: %s", source, error)
        task.restore(segment, models, encoding, options, video, progress, seeks=False)


@dataclass(frozen=True, eq=False)
class _Segment:
    """The frames of a segment, and how to restore them."""

    source: Path
    plan: ClipPlan
    start: int
    stop: int
    sample: FrameSample

    def restore(
        self,
        path: Path,
        models: RestorationModels,
        encoding: Encoding,
        options: RestoreOptions,
        video: VideoOptions,
        progress: VideoProgress | None,
        *,
        seeks: bool,
    ) -> None:
        """Write the restored frames to ``path``."""
        first, last = self._reach(frames_around(video))
        with open_video(self.source) as reader, open_writer(path, reader, self.sample, encoding, []) as writer:
            frames = planned_frames(reader, self.plan, first, last, seeks=seeks)
            counted = None if progress is None else self._counted(progress, first)
            restored = restore_frames(frames, self.plan.faces, models, options, video, counted)
            write_frames(_spaced(self._own(restored), reader.time_base), [], writer)

    def _reach(self, radius: int) -> tuple[int, int]:
        """Return the indices of the first frame that must be read, and of the frame after the last one."""
        distinct = self.start
        while distinct and distinct in self.plan.faces.repeats:
            distinct -= 1
        return max(distinct - radius, 0), min(self.stop + radius, len(self.plan))

    def _own(self, frames: Iterable[DecodedFrame]) -> Iterator[DecodedFrame]:
        """Yield the frames of the segment, and read no further."""
        for frame in frames:
            if frame.index >= self.start:
                yield frame
            if frame.index == self.stop - 1:
                return

    def _counted(self, progress: VideoProgress, first: int) -> VideoProgress:
        """Return a callback that counts only the frames of the segment."""
        total = self.stop - self.start

        def count(step: VideoStep, done: int, _: int) -> None:
            progress(step, min(max(done - (self.start - first), 0), total), total)

        return count


def _spaced(frames: Iterable[DecodedFrame], time_base: Fraction) -> Iterator[DecodedFrame]:
    """Yield ``frames`` with timestamps that stay different when Matroska rounds them; ``join_segments`` sorts by these."""
    distance, earliest = ceil(_MIN_DISTANCE / time_base), None
    for frame in frames:
        if earliest is not None:
            frame.frame.pts = max(int(frame.frame.pts or 0), earliest)
        earliest = int(frame.frame.pts or 0) + distance
        yield frame
