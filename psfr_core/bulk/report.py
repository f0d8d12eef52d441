"""Write a report of restored files in JSON Lines format, which other programs can read during the run."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from ..errors import describe
from .restore_files import FileResult


class Report(Protocol):
    """A function that adds the result of a file to a report. Several threads may call it at the same time."""

    def __call__(self, result: FileResult) -> None: ...


@contextmanager
def open_report(path: Path) -> Generator[Report]:
    """Yield a function that appends a line to the file ``path`` for each result.

    Each line is a JSON object with ``file``, ``target``, ``faces`` (null after an error), ``seconds`` (processing time without
    waiting) and ``error`` (null if there was none). Lines of earlier runs are kept. Raise OSError if the file cannot be opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1) as file:
        lock = threading.Lock()

        def add(result: FileResult) -> None:
            line = {
                "file": str(result.job.source),
                "target": str(result.job.target),
                "faces": result.faces,
                "seconds": round(result.seconds, 3),
                "error": None if result.error is None else describe(result.error),
            }
            with lock:
                file.write(json.dumps(line) + "\n")

        yield add
