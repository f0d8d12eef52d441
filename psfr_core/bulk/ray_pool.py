"""Run work in the processes of a Ray cluster, and repeat the work of processes that end unexpectedly."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from ..errors import PsfrError, WorkerError, describe
from ..restoration.restoration_models import RestorationModels
from .attempts import AttemptCounter, Attempts
from .ray_cluster import Cluster

T = TypeVar("T")
R = TypeVar("R")
_MAX_ATTEMPTS = 2  # maximum number of attempts to process an item alone, after the process ended during its group
_ADVICE = "A frequent reason is too little memory: use fewer workers or smaller images. Ray's logs are in /tmp/ray."
_LIBRARY = __name__.split(".")[0]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work(Generic[T, R]):
    """The work of worker processes.

    Each process calls ``load`` once. ``do`` returns one result for each item of a group. ``fail`` returns the result of an item
    whose process ends in each attempt. The functions, items and results are pickled.
    """

    load: Callable[[], RestorationModels]
    do: Callable[[Sequence[T], RestorationModels], Iterable[R]]
    fail: Callable[[T, WorkerError], R]


def run_in_workers(cluster: Cluster, work: Work[T, R], groups: Sequence[Sequence[T]]) -> Iterator[R]:
    """Yield the results of all ``groups`` as they arrive, in any order. Log the messages of the workers.

    If a worker process ends, it is started again, and the items of its group are processed one by one. An item whose process ends
    in each attempt has the result ``work.fail(item, error)``. Raises the errors of ``work.load`` and of ``work.do``, and
    WorkerError if processes repeatedly end while they load.
    """
    workers = min(cluster.workers, len(groups))
    attempts = Attempts(cluster.ray.remote(num_cpus=0, max_restarts=-1)(AttemptCounter).remote())
    level = logging.getLogger(_LIBRARY).getEffectiveLevel()
    rows = [{"items": pickle.dumps(group)} for group in groups]
    answers = cluster.data.from_items(rows, override_num_blocks=len(rows)).map(
        _Worker,
        fn_constructor_args=(work, attempts, 2 * workers + 2, level),
        compute=cluster.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
        num_gpus=cluster.gpus_per_worker,
    )
    answers.context.enable_progress_bars = False
    for batch in answers.iter_batches(batch_size=None, prefetch_batches=0, batch_format="pyarrow"):
        for packed in batch["answer"].to_pylist():
            answer: _Answer[R] = pickle.loads(packed)  # noqa: S301 - from a worker
            for message in answer.messages:
                _log_once(message)
            if answer.error is not None:
                raise answer.error
            yield from answer.results


def portable(error: Exception) -> Exception:
    """Return ``error`` if it can be pickled for another process, else a PsfrError with the same message."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - made in this line
    except Exception:
        return PsfrError(describe(error))
    return error


class _Worker:
    """Callable that Ray runs in a separate process. It processes the group of items in a row of a data set."""

    def __init__(self, work: Work[Any, Any], attempts: Attempts, max_loads: int, log_level: int) -> None:
        self._work, self._attempts, self._max_loads, self._log_level = work, attempts, max_loads, log_level
        self._models: RestorationModels | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, bytes]:
        """Return the pickled answer for a row."""
        items: list[Any] = pickle.loads(row["items"])  # noqa: S301 - from the main process
        messages: list[_Message] = []
        results: list[Any] = []
        error: Exception | None = None
        with _collected_messages(messages, self._log_level):
            try:
                results = list(self._results(items, self._loaded_models()))
            except Exception as raised:
                error = portable(raised)
        return {"answer": pickle.dumps(_Answer(results, messages, error))}

    def _loaded_models(self) -> RestorationModels:
        if self._models is None:
            if self._attempts.start("load") > self._max_loads:
                raise WorkerError(f"The worker processes end while they load the models. {_ADVICE}")
            self._models = self._work.load()
            self._attempts.clear("load")
        return self._models

    def _results(self, items: Sequence[Any], models: RestorationModels) -> Iterator[Any]:
        """Yield the results of a group of items, processed one by one if an earlier attempt ended the process."""
        if self._attempts.start(f"group {items[0]!r}") == 1:
            yield from self._work.do(items, models)
            return
        _log.warning("A worker process ended. Its work is done again: %s", ", ".join(map(str, items)))
        for item in items:
            key = f"item {item!r}"
            if self._attempts.start(key) > _MAX_ATTEMPTS:
                yield self._work.fail(item, WorkerError(f"The worker process ended each time. {_ADVICE}"))
            else:
                yield from self._work.do([item], models)
                self._attempts.clear(key)


@dataclass(frozen=True)
class _Message:
    """A log message of a worker."""

    logger: str
    level: int
    text: str


@dataclass(frozen=True)
class _Answer(Generic[R]):
    """The answer of a worker for a group: the results, the log messages, and the error that ended the work, if any."""

    results: Sequence[R]
    messages: Sequence[_Message]
    error: Exception | None


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
