"""Imitate progress bars, and record their values in ``shown``."""

from __future__ import annotations

shown: list[tuple[int, int]] = []


class ProgressBar:
    def __init__(self, total: int) -> None:
        self.total = total

    def update_absolute(self, value: int, total: int | None = None) -> None:
        shown.append((value, total or self.total))
