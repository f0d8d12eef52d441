"""Restore the segments of a video with the processes of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace

from ..restoration.restoration_models import RestorationModels
from ..video.plan_file import load_plan
from ..video.restore_in_segments import SegmentJob
from .ray_cluster import RayOptions, connect
from .ray_pool import Work, portable, run_in_workers


def restore_segments_with_ray(
    jobs: Sequence[SegmentJob], load: Callable[[], RestorationModels], ray: RayOptions | None = None
) -> Generator[SegmentJob]:
    """Restore segments of a video with the workers of a Ray cluster, and yield each job when its segment is finished.

    Use this function as the argument ``run`` of ``restore_in_segments``. Each worker calls ``load`` once. Paths must be valid on
    all machines. The work of a worker process that ends is repeated. Raises the first error of a segment, the errors of ``load``
    and ``connect``, and WorkerError if worker processes end in each attempt. Finished segments are kept.
    """
    if not jobs:
        return
    originals = {job.start: job for job in jobs}
    work = Work(load, _restore, _Result)
    with connect(RayOptions() if ray is None else ray) as cluster:
        for result in run_in_workers(cluster, work, [[_absolute(job)] for job in jobs]):
            if result.error is not None:
                raise result.error
            yield originals[result.job.start]


@dataclass(frozen=True)
class _Result:
    """A finished segment, or the error that prevented it."""

    job: SegmentJob
    error: Exception | None = None


def _restore(jobs: Sequence[SegmentJob], models: RestorationModels) -> Iterator[_Result]:
    for job in jobs:
        try:
            job.restore(load_plan(job.plan_file), models)
        except Exception as error:
            yield _Result(job, portable(error))
        else:
            yield _Result(job)


def _absolute(job: SegmentJob) -> SegmentJob:
    return replace(job, source=job.source.absolute(), plan_file=job.plan_file.absolute(), target=job.target.absolute())
