"""One training at a time in a run folder."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ...errors import TrainingError
from ...files import read_json
from .run_folder import RUNS

logger = logging.getLogger(__name__)
LOCK = "running.lock"


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Hold the run folder ``folder``, which is made, for the block; TrainingError when another process holds it.

    The operating system gives the folder free when the process ends, however it ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise TrainingError(
            f"Another training is running in {folder}{_owner(folder)}. Wait for it, stop it, or choose another run folder."
        ) from error
    except NotImplementedError:
        logger.warning("The disk of %s knows no locks: start no second training in this folder.", folder)
    try:
        yield
    finally:
        lock.release()


def _owner(folder: Path) -> str:
    """Return which process the run folder says it is."""
    try:
        last = read_json(folder / RUNS)["runs"][-1]
        return f" (process {last['process']} on {last['host']}, since {last['begun']})"
    except (OSError, ValueError, LookupError, TypeError):
        return ""
