"""Downloads of known models from the Hugging Face Hub, only ever on request."""

from __future__ import annotations

import contextlib
import logging
import shutil
import textwrap
from collections.abc import Generator
from http.client import HTTPException
from pathlib import Path, PurePosixPath

from filelock import BaseFileLock, FileLock, Timeout

from ..errors import CheckpointError, DownloadError, PsfrError
from ..files import expand_user
from ..progress import Progress
from .manifest import ModelFile, hub_address, hub_file_address
from .model_check import check_model_file
from .transfer import NotOnServerError, Transfer

logger = logging.getLogger(__name__)

STAGING_FOLDER = ".downloads"  # inside the target folder, so that the finished file can be renamed into place
_POLL_SECONDS = 0.2
_MISSES = 20


def download_model(
    entry: ModelFile, folder: str | Path, *, repo_id: str | None = None, progress: Progress | None = None
) -> Path:
    """Return the path of a known model in ``folder``, downloaded if it is not there yet.

    ``repo_id`` (``OWNER/NAME``) names another repository on the Hub that holds the file or its converted copy.
    ``progress`` is called with bytes, and may raise to stop; without it every tenth is logged. An interrupted download resumes
    where it stopped. Of several downloads of one model at once, also in other programs, one runs and the others wait for it.
    A file that is there, or has arrived, must have the published hash; where none is known it must load as such a model. It gets
    its final name only then. Raises DownloadError, which says how to do it by hand.
    """
    folder = expand_user(folder)
    if entry.is_bundled:
        raise DownloadError(f"{entry.name} ships with this package: there is nothing to download.")
    present = _present_file(entry, folder)
    if present is not None:
        return present
    if repo_id is None and entry.repo_id is None:
        raise DownloadError(
            f"No copy of {entry.name} on the Hugging Face Hub is known. {manual_steps(entry, folder)} "
            "Or name a repository of the Hub that holds it."
        )
    progress = progress or _tenths_logged(entry)
    try:
        with _alone(entry, folder, progress):
            return _present_file(entry, folder) or _fetch(entry, folder, repo_id, progress)
    except (PsfrError, OSError, HTTPException, ValueError) as error:  # the last two: an address that is none
        raise DownloadError(_failure(entry, folder, repo_id, error)) from error


def manual_steps(entry: ModelFile, folder: Path, repo_id: str | None = None) -> str:
    """Return how a person gets ``entry``, or its copy in ``repo_id``, into ``folder`` without this library."""
    tried = [hub_file_address(repo_id, path) for path in _repo_paths(entry, repo_id)] if repo_id else []
    return f"Download {entry.file_name} from {' or '.join([*tried, *entry.addresses])} and put it into {folder}."


def _present_file(entry: ModelFile, folder: Path) -> Path | None:
    for present in (folder / entry.file_name, folder / entry.converted_name):
        if present.is_file():
            try:
                check_model_file(entry, present, present.name)
            except CheckpointError as error:
                raise DownloadError(
                    f"{present} is already there but cannot be used as {entry.name}: {error} "
                    "Move it away or delete it, then download again."
                ) from error
            return present
    return None


@contextlib.contextmanager
def _alone(entry: ModelFile, folder: Path, progress: Progress) -> Generator[None]:
    """Let one download of ``entry`` into ``folder`` run at a time."""
    lock = FileLock(folder / STAGING_FOLDER / f"{entry.name}.lock")
    _acquire(lock, entry, folder, progress)
    try:
        yield
    finally:
        lock.release()
    # The model is there: whoever waits for this lock, or makes a new one, finds it first.
    with contextlib.suppress(OSError):
        Path(lock.lock_file).unlink(missing_ok=True)
        (folder / STAGING_FOLDER).rmdir()  # unless another model is arriving


def _acquire(lock: BaseFileLock, entry: ModelFile, folder: Path, progress: Progress) -> None:
    is_first_try, missed = True, 0
    while True:
        try:
            (folder / STAGING_FOLDER).mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0 if is_first_try else _POLL_SECONDS)
            return
        except FileNotFoundError:  # the other download has ended, and removed the folder in this moment
            missed += 1
            if missed > _MISSES:
                raise
        except Timeout:
            if is_first_try:
                logger.warning("Another download of %s into %s is running; waiting for it.", entry.name, folder)
            is_first_try = False
            progress(0, entry.size_bytes or 1)


def _fetch(entry: ModelFile, folder: Path, repo_id: str | None, progress: Progress) -> Path:
    """Download ``entry``, check it, and return its path in ``folder``."""
    from huggingface_hub import get_token

    staging = folder / STAGING_FOLDER / entry.name
    staging.mkdir(parents=True, exist_ok=True)
    for repo_path in _repo_paths(entry, repo_id):
        name = PurePosixPath(repo_path).name
        url, size = _address(entry, repo_id, repo_path), entry.size_bytes if name == entry.file_name else None
        transfer = Transfer(url, staging / f"{name}.part", get_token(), size, progress)
        logger.info("Downloading %s", url)
        with contextlib.suppress(NotOnServerError):
            transfer.run()
            _check_arrived(entry, transfer, name)
            path = transfer.part.replace(folder / name)
            shutil.rmtree(staging, ignore_errors=True)
            return path
    raise DownloadError(f"the repository has none of: {', '.join(_repo_paths(entry, repo_id))}")


def _tenths_logged(entry: ModelFile) -> Progress:
    logged = 0

    def log(done: int, total: int) -> None:
        nonlocal logged
        tenths = 10 * done // total
        if tenths > logged:
            logged = tenths
            logger.info("%s: %d %% of %.1f MB", entry.name, 10 * tenths, total / 1e6)

    return log


def _address(entry: ModelFile, repo_id: str | None, repo_path: str) -> str:
    from huggingface_hub import constants, hf_hub_url

    if constants.HF_HUB_OFFLINE:
        raise DownloadError("HF_HUB_OFFLINE is set, which forbids downloads")
    revision = None if repo_id else entry.revision
    return hf_hub_url(repo_id or entry.repo_id or "", repo_path, revision=revision, endpoint=hub_address())


def _check_arrived(entry: ModelFile, transfer: Transfer, name: str) -> None:
    try:
        check_model_file(entry, transfer.part, name)
    except CheckpointError as error:
        transfer.discard()
        raise DownloadError(f"what arrived was deleted: {error}") from error


def _repo_paths(entry: ModelFile, repo_id: str | None) -> list[str]:
    if repo_id is None:
        return [entry.repo_path or entry.file_name]
    return [entry.converted_name, entry.file_name]


def _failure(entry: ModelFile, folder: Path, repo_id: str | None, error: Exception) -> str:
    reason = textwrap.shorten(str(error) or type(error).__name__, width=400).rstrip(".")
    source = f"{hub_address()}/{repo_id or entry.repo_id}"
    return (
        f"{entry.name} could not be downloaded from {source}: {reason}. By hand: {manual_steps(entry, folder, repo_id)}"
    )
