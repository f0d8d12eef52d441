"""Finding model files on this machine."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

from .manifest import ModelFile

logger = logging.getLogger(__name__)


def assets_folder() -> Path:
    """The folder of the models that ship with this package."""
    return Path(__file__).parent.parent / "assets"


def default_model_folder() -> Path:
    """The folder where downloaded models are kept when no other is named."""
    return Path.home() / ".cache" / "psfrgan"


def search_folders(entry: ModelFile, folders: Sequence[str | Path] = ()) -> list[Path]:
    """Every folder where ``entry`` is looked for, in order."""
    bundled = [assets_folder()] if entry.is_bundled else []
    return [*bundled, *(Path(folder).expanduser() for folder in folders), default_model_folder()]


def find_model_file(entry: ModelFile, folders: Sequence[str | Path] = ()) -> Path | None:
    """The file of a known model, under its own name or the name of its converted copy; None if it is nowhere.

    Looks into the package (bundled models only), then ``folders`` in their order, then the default folder.
    A file with another hash than the published one is returned all the same, with a warning: people re-save files,
    and loading is strict anyway.
    """
    for folder in search_folders(entry, folders):
        for file_name in (entry.file_name, entry.converted_name):
            path = folder / file_name
            if path.is_file():
                _warn_if_changed(entry, path)
                return path
    return None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_published_file(entry: ModelFile, path: Path) -> bool:
    """Whether ``path`` has the published size and hash of ``entry``, as far as these are known."""
    if entry.size_bytes not in (None, path.stat().st_size):
        return False
    return entry.sha256 in (None, sha256_of(path))


def _warn_if_changed(entry: ModelFile, path: Path) -> None:
    if path.name == entry.file_name and not is_published_file(entry, path):
        logger.warning(
            "%s is not the published file of %s: its SHA-256 is %s, expected %s. It is used all the same; "
            "if it does not load, delete it and download it again.",
            path,
            entry.name,
            sha256_of(path),
            entry.sha256,
        )
