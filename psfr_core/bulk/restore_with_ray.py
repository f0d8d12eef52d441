"""Restore many image files with the processes of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import WorkerError
from ..files import remove_leftovers
from ..images.decoding import MAX_PIXELS
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore_options import RestoreOptions
from ..url_path import Location
from .ray_cluster import RayOptions, connect
from .ray_pool import Work, portable, run_in_workers
from .restore_files import FileJob, FileResult, Save, restore_files, save_result

_MAX_GROUP = 16  # maximum number of files per group; faces of the files in a group share batches
_GROUPS_PER_WORKER = 4  # minimum number of groups per worker, if files suffice; workers then finish almost together


def restore_with_ray(
    jobs: Sequence[FileJob],
    load: Callable[[], RestorationModels],
    options: RestoreOptions | None = None,
    ray: RayOptions | None = None,
    *,
    max_pixels: int | None = MAX_PIXELS,
    save: Save = save_result,
) -> Generator[FileResult]:
    """Restore image files with the workers of a Ray cluster, and yield each result as soon as it is known, in any order.

    Each worker calls ``load`` once, and restores groups of up to 16 files with ``restore_files``. With a batch size of 1, the same
    kind of device and the same number of PyTorch threads, the results are bit-identical to those of ``restore_files``. Paths must
    be valid on all machines. If a worker process ends, it is started again and its group is repeated. A file whose worker ends in
    each attempt has a WorkerError in its result. Close the generator to stop early.
    Raises the errors of ``load``, of invalid options and of ``connect``, and WorkerError if workers repeatedly end while they load.
    """
    if not jobs:
        return
    originals = {_absolute(job): job for job in jobs}
    absolute = [*originals]
    work = Work(load, _RestoreGroup(options, max_pixels, save), _failed)
    with _removed_leftovers(absolute), connect(RayOptions() if ray is None else ray) as cluster:
        size = max(1, min(_MAX_GROUP, len(jobs) // (cluster.workers * _GROUPS_PER_WORKER)))
        groups = [absolute[start : start + size] for start in range(0, len(jobs), size)]
        for result in run_in_workers(cluster, work, groups):
            yield replace(result, job=originals[result.job])


@dataclass(frozen=True)
class _RestoreGroup:
    """Callable that restores a group of files in a worker."""

    options: RestoreOptions | None
    max_pixels: int | None
    save: Save

    def __call__(self, jobs: Sequence[FileJob], models: RestorationModels) -> Iterator[FileResult]:
        for result in restore_files(jobs, models, self.options, max_pixels=self.max_pixels, save=self.save):
            yield result if result.error is None else replace(result, error=portable(result.error))


def _failed(job: FileJob, error: WorkerError) -> FileResult:
    return FileResult(job, None, 0.0, error)


def _absolute(job: FileJob) -> FileJob:
    def absolute(path: Location) -> Location:
        return path.absolute() if isinstance(path, Path) else path

    return FileJob(absolute(job.source), absolute(job.target))


@contextmanager
def _removed_leftovers(jobs: Iterable[FileJob]) -> Generator[None]:
    """If the context raises or is closed early, remove the unfinished files of workers of this machine that have ended."""
    folders = {job.target.parent for job in jobs if isinstance(job.target, Path)}
    try:
        yield
    except BaseException:
        for folder in folders:
            remove_leftovers(folder)
        raise
