"""Downloads from the Hugging Face Hub, only ever on request."""

from __future__ import annotations

import logging
import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path

from ..errors import DownloadError
from ..files import expanded, sha256_of
from .folders import is_published_file
from .manifest import HUB_ADDRESS, ModelFile

logger = logging.getLogger(__name__)

STAGING_FOLDER = ".downloads"  # inside the target folder, so that the finished file can be renamed into place


def download_model(entry: ModelFile, folder: str | Path, *, repo_id: str | None = None) -> Path:
    """The path of a known model in ``folder``, downloaded if it is not there yet.

    ``repo_id`` (``OWNER/NAME``) names another repository on the Hub that holds the file or its converted copy.
    The file gets its final name only when it is complete and its hash is right.
    Raises DownloadError, which says how to do it by hand.
    """
    folder = expanded(folder)
    if entry.is_bundled:
        raise DownloadError(f"{entry.name} ships with this package: there is nothing to download.")
    for present in (folder / entry.file_name, folder / entry.converted_name):
        if present.is_file():
            return _keep_present_file(entry, present)
    if repo_id is None and entry.repo_id is None:
        raise DownloadError(
            f"No copy of {entry.name} on the Hugging Face Hub is known. {manual_steps(entry, folder)} "
            f"Or name a repository that holds it: psfr download {entry.name} --repo-id OWNER/NAME"
        )
    staging = folder / STAGING_FOLDER / entry.name
    try:
        staged = _fetch(entry, staging, repo_id)
        _check_hash(entry, staged)
        finished = staged.replace(folder / staged.name)
    except Exception as error:  # the Hub client's errors come from several packages and change between its versions
        raise DownloadError(_failure(entry, folder, repo_id, error)) from error
    _remove_staging(staging)
    return finished


def manual_steps(entry: ModelFile, folder: Path, repo_id: str | None = None) -> str:
    """How a person gets ``entry``, or its copy in ``repo_id``, into ``folder`` without this library."""
    tried = [f"{HUB_ADDRESS}/{repo_id}/resolve/main/{path}" for path in _repo_paths(entry, repo_id)] if repo_id else []
    return f"Download {entry.file_name} from {' or '.join([*tried, *entry.addresses])} and put it into {folder}."


def _keep_present_file(entry: ModelFile, present: Path) -> Path:
    if present.name != entry.file_name or is_published_file(entry, present):
        return present
    raise DownloadError(
        f"{present} is already there but is not the published file of {entry.name}. "
        "Move it away or delete it, then download again."
    )


def _fetch(entry: ModelFile, staging: Path, repo_id: str | None) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    candidates = _repo_paths(entry, repo_id)
    for candidate in candidates:
        revision = None if repo_id else entry.revision
        try:
            return Path(
                hf_hub_download(repo_id or entry.repo_id or "", candidate, revision=revision, local_dir=staging)
            )
        except LocalEntryNotFoundError as error:  # says to check the connection; its cause says what is wrong with it
            raise (error.__cause__ or error) from None
        except EntryNotFoundError:
            logger.debug("%s has no %s", repo_id or entry.repo_id, candidate)
    raise DownloadError(f"the repository has none of: {', '.join(candidates)}")


def _repo_paths(entry: ModelFile, repo_id: str | None) -> Sequence[str]:
    if repo_id is None:
        return [entry.repo_path or entry.file_name]
    return [entry.converted_name, entry.file_name]


def _check_hash(entry: ModelFile, staged: Path) -> None:
    if staged.name != entry.file_name or entry.sha256 is None:
        return
    found = sha256_of(staged)
    if found == entry.sha256:
        return
    staged.unlink()
    raise DownloadError(f"the file that arrived has the SHA-256 {found}, expected {entry.sha256}; it was deleted")


def _failure(entry: ModelFile, folder: Path, repo_id: str | None, error: Exception) -> str:
    reason = textwrap.shorten(str(error) or type(error).__name__, width=400).rstrip(".")
    source = f"{HUB_ADDRESS}/{repo_id or entry.repo_id}"
    return (
        f"{entry.name} could not be downloaded from {source}: {reason}. By hand: {manual_steps(entry, folder, repo_id)}"
    )


def _remove_staging(staging: Path) -> None:
    shutil.rmtree(staging, ignore_errors=True)
    if not any(staging.parent.iterdir()):
        staging.parent.rmdir()
