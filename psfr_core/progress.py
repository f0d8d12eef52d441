"""Define callbacks that report the progress of long operations."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""A callback that gets the number of finished items and the total. It may raise an exception to stop the operation."""


def hold_progress(progress: Progress | None) -> Progress | None:
    """Return a callback that always reports 0 finished items to ``progress``, or None if ``progress`` is None.

    A preparatory step, whose items do not count, calls the returned callback, so that ``progress`` can stop the step.
    """
    if progress is None:
        return None
    return lambda _, total: progress(0, total)


def offset_progress(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Return a callback for one of several steps, or None if ``progress`` is None.

    The callback passes on the finished items of this step plus ``before``, the number of items that earlier steps finished, and
    ``total`` instead of the total of this step.
    """
    if progress is None:
        return None
    return lambda done, _: progress(before + done, total)
