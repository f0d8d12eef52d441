"""Download known models. Only explicit requests cause downloads."""

from __future__ import annotations

import contextlib
import logging
import shutil
import textwrap
from collections.abc import Generator
from http.client import HTTPException
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from ..errors import CheckpointError, DownloadError, PsfrError
from ..files import expand_user
from ..progress import Progress
from .installation import install_download
from .manifest import ModelFile
from .model_check import check_model_file
from .sources import Source, manual_addresses, sources_of
from .transfer import NotOnServerError, Transfer

logger = logging.getLogger(__name__)

STAGING_FOLDER = ".downloads"  # inside the target folder, so that the finished file can be renamed
_POLL_SECONDS = 0.2  # time between calls of the progress callback while waiting
_MAX_RETRIES = 20  # retries if another download removes the folder of the lock


def download_model(
    entry: ModelFile, folder: str | Path, *, repo_id: str | None = None, progress: Progress | None = None
) -> Path:
    """Download a known model into ``folder`` unless the folder already contains it, and return its path.

    The known copy on the Hugging Face Hub is tried first, if there is one, and then the official release. With ``repo_id``
    (``OWNER/NAME``), only this repository on the Hub is tried, for the converted copy and the file. ``progress`` is called with
    received and total bytes, and may raise to stop. Without ``progress``, every tenth of the download is logged. An
    interrupted download resumes where it stopped. If several programs or threads download the same model, one downloads it and the
    others wait.
    An existing or downloaded file must have the published hash. If no hash is published, it must load as a model for this task. A
    valid download is installed as ``install_download`` describes. Raises DownloadError for a bundled model, for an existing file
    that is not valid, and for a failed download. In the last case, the message explains how to download the file manually. Raises
    MissingPackageError if checking an existing file needs a package that is not installed.
    """
    folder = expand_user(folder)
    if entry.is_bundled:
        raise DownloadError(f"{entry.name} ships with this package: there is nothing to download.")
    present = _present_file(entry, folder)
    if present is not None:
        return present
    progress = progress or _tenths_logged(entry)
    try:
        _check_online()
        sources = sources_of(entry, repo_id)
        with _exclusive(entry, folder, progress):
            return _present_file(entry, folder) or _fetch(entry, folder, sources, progress)
    except (PsfrError, OSError, ValueError) as error:  # an invalid repository name raises ValueError
        raise _failure(entry, folder, repo_id, error) from error


def _present_file(entry: ModelFile, folder: Path) -> Path | None:
    for present in (folder / entry.file_name, folder / entry.converted_name):
        if present.is_file():
            try:
                check_model_file(entry, present, present.name)
            except CheckpointError as error:
                raise DownloadError(
                    f"{present} is already there but cannot be used as {entry.name}: {error} "
                    "Move it away or delete it, and download the model again."
                ) from error
            return present
    return None


def _check_online() -> None:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise DownloadError("HF_HUB_OFFLINE is set, which forbids downloads")


@contextlib.contextmanager
def _exclusive(entry: ModelFile, folder: Path, progress: Progress) -> Generator[None]:
    """Hold a lock that allows only one download of ``entry`` into ``folder`` at a time."""
    lock = FileLock(folder / STAGING_FOLDER / f"{entry.name}.lock")
    _acquire(lock, entry, folder, progress)
    try:
        yield
    finally:
        lock.release()
    # The model exists now. Waiting and new downloads find it and do not need the lock.
    with contextlib.suppress(OSError):
        Path(lock.lock_file).unlink(missing_ok=True)
        (folder / STAGING_FOLDER).rmdir()  # fails if another model is being downloaded


def _acquire(lock: BaseFileLock, entry: ModelFile, folder: Path, progress: Progress) -> None:
    is_first_try, retries = True, 0
    while True:
        try:
            (folder / STAGING_FOLDER).mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0 if is_first_try else _POLL_SECONDS)
            return
        except FileNotFoundError:  # another download has just removed the folder
            retries += 1
            if retries > _MAX_RETRIES:
                raise
        except Timeout:
            if is_first_try:
                logger.warning("Another download of %s into %s is running; waiting for it.", entry.name, folder)
            is_first_try = False
            progress(0, entry.size_bytes or 1)


def _fetch(entry: ModelFile, folder: Path, sources: list[Source], progress: Progress) -> Path:
    """Download ``entry`` from the first of ``sources`` that has the file, and return its path in ``folder``."""
    staging = folder / STAGING_FOLDER / entry.name
    staging.mkdir(parents=True, exist_ok=True)
    for source in sources:
        try:
            arrived = _receive(entry, source, staging, progress)
        except NotOnServerError as error:
            logger.info("%s: %s", source.url, error)
        except (PsfrError, OSError, HTTPException, ValueError) as error:  # invalid addresses raise the last two types
            raise DownloadError(f"{_reason(error)} ({source.place})") from error
        else:
            path = install_download(entry, arrived, folder / source.file_name, source.url)
            shutil.rmtree(staging, ignore_errors=True)
            return path
    names = " or ".join(dict.fromkeys(source.file_name for source in sources))
    places = " or ".join(dict.fromkeys(source.place for source in sources))
    raise DownloadError(f"there is no {names} in {places}")


def _receive(entry: ModelFile, source: Source, staging: Path, progress: Progress) -> Path:
    """Download the file of ``source`` into ``staging``, check the file, and return its path."""
    size = entry.size_bytes if source.file_name == entry.file_name else None
    transfer = Transfer(source.url, staging / f"{source.file_name}.part", source.token, size, progress)
    logger.info("Downloading %s", source.url)
    transfer.run()
    try:
        check_model_file(entry, transfer.part, source.file_name)
    except CheckpointError as error:
        transfer.discard()
        raise DownloadError(f"the downloaded file was deleted: {error}") from error
    return transfer.part


def _tenths_logged(entry: ModelFile) -> Progress:
    logged = 0

    def log(done: int, total: int) -> None:
        nonlocal logged
        tenths = 10 * done // total
        if tenths > logged:
            logged = tenths
            logger.info("%s: %d %% of %.1f MB", entry.name, 10 * tenths, total / 1e6)

    return log


def _failure(entry: ModelFile, folder: Path, repo_id: str | None, error: Exception) -> DownloadError:
    addresses = " or ".join(manual_addresses(entry, repo_id))
    return DownloadError(
        f"{entry.name} could not be downloaded: {_reason(error)}. "
        f"Alternatively, download {entry.file_name} from {addresses} and put it into {folder}."
    )


def _reason(error: Exception) -> str:
    return textwrap.shorten(str(error) or type(error).__name__, width=400).rstrip(".")
