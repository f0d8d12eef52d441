"""Restore many image files with the processes of a Ray cluster."""

from __future__ import annotations

import logging
import pickle
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from ..errors import PsfrError, WorkerError, describe
from ..files import remove_leftovers
from ..images.decoding import MAX_PIXELS
from ..optional_package import import_optional
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore_options import RestoreOptions
from ..url_path import Location
from .ray_cluster import Cluster, RayOptions, connect
from .restore_files import FileJob, FileResult, Save, restore_files, save_result

_MAX_GROUP = 16  # maximum number of files in a row of the data set, so that faces of several files share batches
_MAX_ATTEMPTS = 2  # attempts to restore a file alone after its group ended the process
_ADVICE = "A frequent reason is too little memory: use fewer workers or smaller images. Ray's logs are in /tmp/ray."
_ROWS_PER_WORKER = 4  # minimum number of rows per worker if there are enough files, so that the workers finish together
_LIBRARY = __name__.split(".")[0]

_log = logging.getLogger(__name__)


def restore_with_ray(
    jobs: Sequence[FileJob],
    load: Callable[[], RestorationModels],
    options: RestoreOptions | None = None,
    ray: RayOptions | None = None,
    *,
    max_pixels: int | None = MAX_PIXELS,
    save: Save = save_result,
) -> Generator[FileResult]:
    """Restore image files with the workers of a Ray cluster, and yield the result of each as soon as it is known.

    Each worker calls ``load`` once, and restores groups of up to 16 files with ``restore_files``. With a batch size of 1 and the
    same number of threads, the results are bit-identical to those of ``restore_files``. Paths must be valid on all machines. If a
    worker process ends, it is started again and its group is repeated. A file that makes its worker end again and again has a
    WorkerError in its result. Close the generator to stop early.
    Raises the errors of ``load``, of invalid options and of ``connect``, and WorkerError if the workers end while they load.
    """
    if not jobs:
        return
    originals = {_absolute(job): job for job in jobs}
    level = logging.getLogger(_LIBRARY).getEffectiveLevel()
    with _removed_leftovers(originals), connect(RayOptions() if ray is None else ray) as cluster:
        workers = min(cluster.workers, len(jobs))
        attempts = cluster.ray.remote(num_cpus=0, max_restarts=-1)(_Counter).remote()
        arguments = (load, options, max_pixels, save, level, _Attempts(attempts), 2 * workers + 2)
        for answer in _answers(cluster, workers, arguments, list(originals)):
            for message in answer.messages:
                _log_once(message)
            if answer.error is not None:
                raise answer.error
            for result in answer.results:
                yield replace(result, job=originals[result.job])


class _Counter:
    """Actor of Ray that counts the attempts of workers, which do not survive themselves to count them."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def start(self, key: str) -> int:
        self._counts[key] += 1
        return self._counts[key]

    def clear(self, key: str) -> None:
        del self._counts[key]


@dataclass(frozen=True)
class _Attempts:
    """The attempts to load models and to restore files, which all workers count in one actor."""

    counter: Any

    def start(self, key: str) -> int:
        """Return the number of this attempt, from 1."""
        return import_optional("ray", "A worker", "ray").get(self.counter.start.remote(key))

    def clear(self, key: str) -> None:
        """Forget the attempts."""
        import_optional("ray", "A worker", "ray").get(self.counter.clear.remote(key))


class _Worker:
    """Callable that Ray runs in a process of its own. It restores the group of files in a row of a data set.

    If the process ends, Ray starts it again and repeats the group. The files are then restored one by one, until the file that
    makes the process end has been tried often enough.
    """

    def __init__(
        self,
        load: Callable[[], RestorationModels],
        options: RestoreOptions | None,
        max_pixels: int | None,
        save: Save,
        log_level: int,
        attempts: _Attempts,
        max_loads: int,
    ) -> None:
        self._load, self._options, self._max_pixels, self._save = load, options, max_pixels, save
        self._log_level, self._attempts, self._max_loads = log_level, attempts, max_loads
        self._models: RestorationModels | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, bytes]:
        """Return the pickled answer for a row."""
        jobs: list[FileJob] = pickle.loads(row["jobs"])  # noqa: S301 - from the main process
        messages: list[_Message] = []
        results: list[FileResult] = []
        error: Exception | None = None
        with _collected_messages(messages, self._log_level):
            try:
                results = [_portable_result(result) for result in self._restore(jobs, self._loaded_models())]
            except Exception as raised:
                error = _portable(raised)
        return {"answer": pickle.dumps(_Answer(results, messages, error))}

    def _loaded_models(self) -> RestorationModels:
        if self._models is None:
            if self._attempts.start("load") > self._max_loads:
                raise WorkerError(f"The worker processes end while they load the models. {_ADVICE}")
            self._models = self._load()
            self._attempts.clear("load")
        return self._models

    def _restore(self, jobs: Sequence[FileJob], models: RestorationModels) -> Iterator[FileResult]:
        """Restore a group of files together or, if an earlier attempt ended the process, one by one."""
        restore = partial(
            restore_files, models=models, options=self._options, max_pixels=self._max_pixels, save=self._save
        )
        if self._attempts.start(f"group {jobs[0]}") == 1:
            yield from restore(jobs)
            return
        _log.warning("A worker process ended. Its %d files are restored again, one by one.", len(jobs))
        for job in jobs:
            key = f"file {job}"
            if self._attempts.start(key) > _MAX_ATTEMPTS:
                error = WorkerError(f"The worker process ended each time while it restored the file. {_ADVICE}")
                yield FileResult(job, None, 0.0, error)
            else:
                yield from restore([job])
                self._attempts.clear(key)


@dataclass(frozen=True)
class _Message:
    """A log message of a worker."""

    logger: str
    level: int
    text: str


@dataclass(frozen=True)
class _Answer:
    """What a worker returns for a row."""

    results: Sequence[FileResult]
    messages: Sequence[_Message]
    error: Exception | None


def _answers(
    cluster: Cluster, workers: int, arguments: tuple[object, ...], jobs: Sequence[FileJob]
) -> Iterator[_Answer]:
    """Restore ``jobs`` with ``workers`` workers that get these ``arguments``, and yield their answers as they arrive."""
    size = max(1, min(_MAX_GROUP, len(jobs) // (workers * _ROWS_PER_WORKER)))
    rows = [{"jobs": pickle.dumps(jobs[start : start + size])} for start in range(0, len(jobs), size)]
    data = cluster.data
    answers = data.from_items(rows, override_num_blocks=len(rows)).map(
        _Worker,
        fn_constructor_args=arguments,
        compute=data.ActorPoolStrategy(size=workers),
        num_cpus=1,
        num_gpus=cluster.gpus_per_worker,
    )
    answers.context.enable_progress_bars = False
    for batch in answers.iter_batches(batch_size=None, prefetch_batches=0, batch_format="pyarrow"):
        for packed in batch["answer"].to_pylist():
            yield pickle.loads(packed)  # noqa: S301 - from a worker


@lru_cache(maxsize=1000)  # workers that load the same models repeat their messages
def _log_once(message: _Message) -> None:
    logging.getLogger(message.logger).log(message.level, "%s", message.text)


@contextmanager
def _collected_messages(messages: list[_Message], level: int) -> Generator[None]:
    """Append the messages that this library logs in the context to ``messages``."""

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(_Message(record.name, record.levelno, record.getMessage()))

    log, handler = logging.getLogger(_LIBRARY), Collector()
    log.addHandler(handler)
    log.setLevel(level)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)


def _portable_result(result: FileResult) -> FileResult:
    return result if result.error is None else replace(result, error=_portable(result.error))


def _portable(error: Exception) -> Exception:
    """Return ``error`` if it can be sent to another process, else a PsfrError with its message."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - made in this line
    except Exception:
        return PsfrError(describe(error))
    return error


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
