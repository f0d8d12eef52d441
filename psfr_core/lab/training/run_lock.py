"""Lock a run folder for one process, and record each run in the folder."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from ...errors import TrainingError
from ...files import read_json
from .environment import describe_environment
from .recipe_file import HasKind
from .run_folder import RUNS, record_run

if TYPE_CHECKING:
    from accelerate import Accelerator

logger = logging.getLogger(__name__)
LOCK = "running.lock"


@contextmanager
def recorded_run(folder: Path, recipe: HasKind, accelerator: Accelerator) -> Generator[None]:
    """Lock ``folder`` and record a run of ``recipe`` in it. If there are several processes, only the main process does this.

    Raises TrainingError as ``locked`` and ``record_run`` do.
    """
    if not accelerator.is_main_process:
        yield
        return
    with locked(folder):
        record_run(folder, recipe, describe_environment(accelerator))
        yield


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Lock the run folder, which is created if necessary. Raise TrainingError if another process has locked the folder.

    The operating system releases the lock when the process ends for any reason. On disks without locks, a warning is logged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise TrainingError(
            f"Another training run uses {folder}{_owner(folder)}. Wait until it ends, stop it, or choose another run folder."
        ) from error
    except NotImplementedError:
        logger.warning("The disk of %s does not support locks. Do not start a second training in this folder.", folder)
    try:
        yield
    finally:
        lock.release()


def _owner(folder: Path) -> str:
    """Describe the process that runs.json records last, or return an empty string if none is recorded."""
    try:
        last = read_json(folder / RUNS)["runs"][-1]
        return f" (process {last['process']} on {last['host']}, since {last['begun']})"
    except (OSError, ValueError, LookupError, TypeError):
        return ""
