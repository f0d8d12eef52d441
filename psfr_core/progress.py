"""Callbacks that report the progress of long operations."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with the number of finished items and the total; may raise an exception to stop the operation."""


def hold_progress(progress: Progress | None) -> Progress | None:
    """Return a callback that always reports 0 finished items, for a preparatory step that may be stopped."""
    if progress is None:
        return None
    return lambda _, total: progress(0, total)


def offset_progress(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Return a callback for one of several steps that starts with ``before`` of ``total`` items finished."""
    if progress is None:
        return None
    return lambda done, _: progress(before + done, total)
