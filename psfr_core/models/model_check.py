"""Check whether weight files are the known models for which they are used."""

from __future__ import annotations

import logging
from pathlib import Path

from ..errors import CheckpointError
from ..files import sha256_of
from .architectures import ARCHITECTURES
from .build import build_network, match_architecture
from .hash_pin import pinned_hash
from .manifest import ModelFile
from .state_dict import read_state_dict

logger = logging.getLogger(__name__)


def check_model_file(entry: ModelFile, path: Path, name: str) -> None:
    """Raise CheckpointError unless ``path`` is the model ``entry``. ``name`` is its current or future file name.

    A published file must have the published hash. If no hash is published, or if ``path`` is a converted copy, the weights must
    load as a network for the model's task. Raises MissingPackageError without the package that builds it.
    """
    if name == entry.file_name and entry.sha256 is not None:
        found = _hash_of(path)
        if found != entry.sha256:
            raise CheckpointError(f"it has the SHA-256 {found}, expected {entry.sha256}.")
        return
    state_dict = read_state_dict(path)
    accepted = [architecture for architecture in ARCHITECTURES if architecture.kind is entry.kind]
    build_network(state_dict, match_architecture(state_dict, accepted, name), name)


def is_published_file(entry: ModelFile, path: Path) -> bool:
    """Return whether ``path`` has the published size and hash of ``entry``. Unknown sizes and hashes are not compared."""
    if entry.size_bytes not in (None, path.stat().st_size):
        return False
    return entry.sha256 is None or entry.sha256 == _hash_of(path)


def warn_if_changed(entry: ModelFile, path: Path) -> None:
    """Log a warning if ``path`` has the published name of ``entry`` but another hash.

    If no hash is published, the file is compared with the saved hash of its first download. A different hash is not an error,
    because users may save files again in other formats, and loading checks all tensors.
    """
    expected = entry.sha256 or pinned_hash(path)
    if path.name != entry.file_name or expected is None:
        return
    found = _hash_of(path)
    if found != expected:
        logger.warning(
            "%s is not the known file of %s: its SHA-256 is %s, expected %s. The file is used. If it does not load, delete it "
            "and download it again.",
            path,
            entry.name,
            found,
            expected,
        )


def _hash_of(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}).") from error
