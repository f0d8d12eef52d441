"""Write results in other threads while later ones are computed, with bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741


def write_behind(tasks: Iterable[tuple[Callable[[], T], float]], *, threads: int, limit: float) -> Generator[T]:
    """Run ``tasks`` in ``threads`` threads, and yield their results in order.

    Finished results are yielded whenever a task has been taken from ``tasks``. Each task has a weight. No further task is taken
    while the total weight of unfinished tasks is ``limit`` or more. An exception of a task or of ``tasks`` is raised after the
    tasks that have not started are canceled and the running ones have ended.
    """
    running: deque[tuple[Future[T], float]] = deque()
    pool = ThreadPoolExecutor(threads, "psfr write behind")
    try:
        for task, weight in tasks:
            running.append((pool.submit(task), weight))
            while running and (running[0][0].done() or _weight(running) >= limit):
                yield running.popleft()[0].result()
        while running:
            yield running.popleft()[0].result()
    finally:
        pool.shutdown(cancel_futures=True)


def write_each(items: Iterable[I], write: Callable[[I], object], *, limit: float) -> None:
    """Call ``write`` for each of ``items`` in another thread, in order, while at most about ``limit`` items wait.

    An exception of ``write`` or ``items`` is raised as ``write_behind`` describes.
    """
    for _ in write_behind(((partial(write, item), 1.0) for item in items), threads=1, limit=limit):
        pass


def _weight(running: Iterable[tuple[Future[T], float]]) -> float:
    return sum(weight for future, weight in running if not future.done())
