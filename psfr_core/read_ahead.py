"""Read inputs in another thread while earlier ones are processed, with bounded memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from queue import SimpleQueue
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


class _Stock:
    """Counter of the total weight of the values that were read but not yet yielded. Two threads share it."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._weight = 0.0
        self._is_closed = False
        self._changed = threading.Condition()

    def wait_for_space(self) -> bool:
        """Wait until the weight is below the limit; return False if no more values are needed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._weight < self._limit)
            return not self._is_closed

    def add(self, weight: float) -> None:
        with self._changed:
            self._weight += weight
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify()


def read_ahead(
    sources: Iterable[S], read: Callable[[S], T], weight: Callable[[T], float], limit: float
) -> Generator[T]:
    """Yield ``read(source)`` for each source, in order.

    One thread iterates over ``sources`` and reads. It waits while the total ``weight`` of the values that were read but not yet
    yielded is ``limit`` or more, so one value may exceed the limit. An exception of ``sources`` or ``read`` is raised after the
    earlier values were yielded. Close the generator to end the thread early.
    """
    stock = _Stock(limit)
    results: SimpleQueue[tuple[T, float] | BaseException | None] = SimpleQueue()

    def work() -> None:
        try:
            for source in sources:
                if not stock.wait_for_space():
                    return
                value = read(source)
                stock.add(weight(value))
                results.put((value, weight(value)))
            results.put(None)
        except BaseException as error:  # a consumer that is not told would wait forever
            results.put(error)

    thread = threading.Thread(target=work, name="psfr read ahead", daemon=True)
    thread.start()
    try:
        while (entry := results.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            value, taken = entry
            stock.add(-taken)
            yield value
    finally:
        stock.close()
        thread.join()
