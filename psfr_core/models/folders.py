"""The folders of model files on this machine, and the known models in them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ..checks import check_type
from ..errors import CheckpointError
from ..files import expand_user, sha256_of
from .manifest import ModelFile

logger = logging.getLogger(__name__)


def assets_folder() -> Path:
    """The folder of the models that ship with this package."""
    return Path(__file__).parent.parent / "assets"


def default_model_folder() -> Path:
    """The folder where downloaded models are kept when no other is named."""
    return Path.home() / ".cache" / "psfrgan"


def search_folders(entry: ModelFile, folders: Sequence[str | Path] = ()) -> list[Path]:
    """Every folder where ``entry`` is looked for, in order: each of ``folders`` may also be ComfyUI's ``models``."""
    check_type(folders, list | tuple, "folders")
    bundled = [assets_folder()] if entry.is_bundled else []
    given = [expand_user(folder) / below for folder in folders for below in ("", *entry.folders)]
    return [*bundled, *given, default_model_folder()]


def find_model_file(entry: ModelFile, folders: Sequence[str | Path] = ()) -> Path | None:
    """The file of a known model, under its own name or the name of its converted copy; None if it is nowhere.

    Looks into the package (bundled models only), then ``folders`` and what ``search_folders`` adds, then the default folder.
    """
    for folder in search_folders(entry, folders):
        for file_name in (entry.file_name, entry.converted_name):
            path = folder / file_name
            if path.is_file():
                return path
    return None


def is_published_file(entry: ModelFile, path: Path) -> bool:
    """Whether ``path`` has the published size and hash of ``entry``, as far as these are known."""
    if entry.size_bytes not in (None, path.stat().st_size):
        return False
    return entry.sha256 is None or entry.sha256 == hash_of(path)


def warn_if_changed(entry: ModelFile, path: Path) -> None:
    """Log a warning when ``path`` has the published name of ``entry`` but another hash.

    It is no error: people re-save files, and loading is strict anyway.
    """
    if path.name != entry.file_name or entry.sha256 is None:
        return
    found = hash_of(path)
    if found != entry.sha256:
        logger.warning(
            "%s is not the published file of %s: its SHA-256 is %s, expected %s. It is used all the same; "
            "if it does not load, delete it and download it again.",
            path,
            entry.name,
            found,
            entry.sha256,
        )


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a weight file; CheckpointError if it cannot be read."""
    try:
        return sha256_of(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}).") from error
