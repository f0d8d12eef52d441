"""A report of restored files in JSON Lines format, which can be read while it grows."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from ..errors import describe
from .restore_files import FileResult


class Report(Protocol):
    """Adds the result of a file to a report."""

    def __call__(self, result: FileResult) -> None: ...


@contextmanager
def open_report(path: Path) -> Generator[Report]:
    """Yield a function that appends a line to the file ``path`` for each result.

    A line is a JSON object: ``file``, ``target``, ``faces`` (null after an error), ``seconds`` (without waiting) and ``error``
    (null without an error). Lines of earlier runs are kept. Raises OSError if the file cannot be written.
    """
    with path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1) as file:

        def add(result: FileResult) -> None:
            line = {
                "file": str(result.job.source),
                "target": str(result.job.target),
                "faces": result.faces,
                "seconds": round(result.seconds, 3),
                "error": None if result.error is None else describe(result.error),
            }
            file.write(json.dumps(line) + "\n")

        yield add
