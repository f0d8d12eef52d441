"""Restore a long video in segments, and resume after an interruption."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..checks import check_type
from ..errors import OptionError, VideoFileError
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore_options import RestoreOptions
from .clip_plan import ClipPlan, plan_clip
from .encoding import Encoding
from .join_segments import count_packets, join_segments
from .plan_file import load_plan, read_notes, save_plan
from .restore_segment import SEGMENT_SUFFIX, restore_segment
from .restore_video import VideoResult, result_of
from .segment_settings import check_same, describe_settings
from .video_options import VideoOptions, VideoProgress, VideoStep
from .write_video import check_container, choose_output

SEGMENT_FRAMES = 500
"""Default number of frames per segment."""
_PARTS, _PLAN = ".parts", "plan.safetensors"
_DIGITS = 8  # minimum number of digits in the names of segments

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SegmentJob:
    """Task to restore the frames of ``source`` from ``start`` up to, but not including, ``stop``, to the file ``target``."""

    source: Path
    plan_file: Path
    start: int
    stop: int
    target: Path
    encoding: Encoding
    options: RestoreOptions
    video: VideoOptions

    def __str__(self) -> str:
        return f"{self.source}, frames {self.start} to {self.stop - 1}"

    def restore(self, plan: ClipPlan, models: RestorationModels, progress: VideoProgress | None = None) -> None:
        """Restore the segment. ``plan`` is the content of ``plan_file``."""
        settings = (self.encoding, self.options, self.video)
        restore_segment(self.source, plan, self.start, self.stop, self.target, models, *settings, progress=progress)


RunSegments = Callable[[Sequence[SegmentJob]], Iterable[SegmentJob]]
"""A function that restores segments in any order, and yields each when it is finished."""


def restore_in_segments(
    source: str | Path,
    target: str | Path,
    models: RestorationModels,
    options: RestoreOptions | None = None,
    video: VideoOptions | None = None,
    *,
    segment_frames: int = SEGMENT_FRAMES,
    run: RunSegments | None = None,
    progress: VideoProgress | None = None,
) -> VideoResult:
    """Restore the video file ``source`` to ``target`` as ``restore_video`` does, but such that an interrupted call can be resumed.

    The folder ``parts_folder(target)`` keeps the plan of the faces, and the finished segments of ``segment_frames`` frames. After
    an interruption, a call with the same arguments continues with the missing segments, and replaces damaged ones. Finally, the
    segments are joined, and the folder is removed. ``run`` restores the segments elsewhere; None restores them one by one with
    ``models``. Decodes the file one more time than ``restore_video``. Raises OptionError for ``segment_frames`` below 1, and if the
    folder belongs to another source, other options or other models, has segments without a plan, or is not a folder. Also raises
    the errors of ``restore_video``.
    """
    options, video = options or RestoreOptions(), video or VideoOptions()
    check_type(models, RestorationModels, "models")
    check_type(options, RestoreOptions, "options")
    check_type(video, VideoOptions, "video")
    if segment_frames < 1:
        raise OptionError(f"segment_frames must be an integer of at least 1, got {segment_frames}.")
    source, target = Path(source), Path(target)
    encoding = choose_output(source, target, video.encoding)
    folder = parts_folder(target)
    check_container(folder / f"segment{SEGMENT_SUFFIX}", encoding)
    settings = describe_settings(source, models, options, video, encoding, segment_frames)
    plan = _find_plan(folder, settings)
    if plan is None:
        plan = plan_clip(source, models, options, video, progress=progress)
        folder.mkdir(exist_ok=True)
        save_plan(folder / _PLAN, plan, settings)
    whole = SegmentJob(source, folder / _PLAN, 0, len(plan), target, encoding, options, video)
    jobs = _split(whole, segment_frames)
    paths = [job.target for job in jobs]
    _remove_damaged(jobs)
    try:
        if run is None:
            _restore_one_by_one(jobs, plan, models, progress)
        else:
            _restore_elsewhere(jobs, run, progress)
        join_segments(paths, source, target, plan.timestamps)
    except BaseException:
        _log_state(folder, paths)
        raise
    _remove_parts(folder, paths)
    return result_of(plan.faces, plan.shot_count, plan.damage)


def parts_folder(target: Path) -> Path:
    """Return the folder of the unfinished parts of ``target``, such as ``out.mp4.parts``."""
    return target.with_name(target.name + _PARTS)


def _find_plan(folder: Path, settings: str) -> ClipPlan | None:
    """Return the plan that an interrupted call left, if any.

    Raises OptionError if it was made with other ``settings``, if ``folder`` is not a folder, or if it has segments without a plan.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise OptionError(
            f"{folder} is not a folder, but the unfinished segments are kept in a folder of this name. Rename it, or choose "
            "another output."
        )
    if not (folder / _PLAN).exists():
        if any(folder.glob(f"{'[0-9]' * _DIGITS}{SEGMENT_SUFFIX}")):
            raise OptionError(
                f"{folder} has segments, but {_PLAN}, which contains their settings, is missing. Delete the folder to start over."
            )
        return None
    check_same(folder, read_notes(folder / _PLAN), settings)
    return load_plan(folder / _PLAN)


def _split(job: SegmentJob, segment_frames: int) -> list[SegmentJob]:
    """Return jobs of ``segment_frames`` frames, with targets beside the plan."""
    starts = range(0, job.stop, segment_frames)
    return [
        replace(
            job,
            start=start,
            stop=min(start + segment_frames, job.stop),
            target=job.plan_file.with_name(f"{start:0{_DIGITS}}{SEGMENT_SUFFIX}"),
        )
        for start in starts
    ]


def _remove_damaged(jobs: Sequence[SegmentJob]) -> None:
    """Remove the segments that cannot be read or do not have all frames, so that they are restored again."""
    for job in jobs:
        if not job.target.exists():
            continue
        try:
            count = count_packets(job.target)
        except VideoFileError as error:
            _log.debug("%s", error)
            count = 0
        expected = job.stop - job.start
        if count != expected:
            _log.warning(
                "%s is damaged: it has %d frames instead of %d. It is restored again.", job.target, count, expected
            )
            job.target.unlink()


def _restore_one_by_one(
    jobs: Sequence[SegmentJob], plan: ClipPlan, models: RestorationModels, progress: VideoProgress | None
) -> None:
    """Restore the missing segments."""
    for job in jobs:
        if not job.target.exists():
            job.restore(plan, models, None if progress is None else _counted(progress, job.start, len(plan)))


def _restore_elsewhere(jobs: Sequence[SegmentJob], run: RunSegments, progress: VideoProgress | None) -> None:
    """Restore the missing segments with ``run``, and count their frames."""
    missing = [job for job in jobs if not job.target.exists()]
    total = jobs[-1].stop
    done = total - sum(job.stop - job.start for job in missing)
    for job in run(missing):
        done += job.stop - job.start
        if progress is not None:
            progress(VideoStep.RESTORE, done, total)


def _counted(progress: VideoProgress, start: int, total: int) -> VideoProgress:
    """Return a callback for one segment, which reports the number of finished frames of the whole video."""
    return lambda step, done, _: progress(step, start + done, total)


def _remove_parts(folder: Path, paths: Sequence[Path]) -> None:
    """Remove the segments, the plan, unfinished files and the folder, which stays if it has other files."""
    for path in [*paths, *folder.glob(".psfr-*.tmp"), folder / _PLAN]:
        path.unlink(missing_ok=True)
    if any(folder.iterdir()):
        _log.warning("%s is not removed, because it has other files.", folder)
    else:
        folder.rmdir()


def _log_state(folder: Path, paths: Sequence[Path]) -> None:
    finished = sum(path.exists() for path in paths)
    _log.warning(
        "Interrupted. %d of %d segments are finished in %s. The same command resumes there; delete the folder to start over.",
        finished,
        len(paths),
        folder,
    )
