"""How a long step tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with what is done and of how many; may raise to stop the step."""


def hold_progress(progress: Progress | None) -> Progress | None:
    """The progress of a step before those that count: nothing is done yet, but it may be stopped."""
    if progress is None:
        return None
    return lambda _, total: progress(0, total)


def offset_progress(progress: Progress | None, before: int, total: int) -> Progress | None:
    """The progress of one step among several: ``before`` of ``total`` are done when it begins."""
    if progress is None:
        return None
    return lambda done, _: progress(before + done, total)
