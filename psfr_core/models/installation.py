"""Move a downloaded model file into its folder, save its hash, and convert it."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

from ..errors import PsfrError
from ..files import sha256_of
from .architectures import ARCHITECTURES
from .build import match_architecture
from .convert import SUFFIX
from .hash_pin import pin_file, pin_hash, pinned_hash
from .manifest import ModelFile
from .metadata import WeightMetadata, write_weights
from .state_dict import read_state_dict

logger = logging.getLogger(__name__)


def install_download(entry: ModelFile, arrived: Path, path: Path, url: str) -> Path:
    """Rename the file ``arrived``, a checked download of ``entry`` from ``url``, to ``path``, and return the model's path.

    If no hash is published for the file, the hash of its first download is saved beside it (see ``hash_pin``), a warning is logged
    if a later download differs, and the file is replaced by its conversion to safetensors. The source and the license are logged.
    Raises OSError if the file cannot be renamed or the hash cannot be saved.
    """
    digest, size = sha256_of(arrived), arrived.stat().st_size
    arrived.replace(path)
    if path.name != entry.file_name or entry.sha256 is None:
        _compare_with_pin(path, digest, url)
        path = _converted(entry, path, url, digest)
    logger.info(
        "%s: %s bytes (SHA-256 %s) from %s are in %s. License: %s.",
        entry.name,
        f"{size:,}",
        digest,
        url,
        path,
        entry.licence,
    )
    return path


def _compare_with_pin(path: Path, digest: str, url: str) -> None:
    pinned = pinned_hash(path)
    if pinned is None:
        pin_hash(path, digest, url)
    elif pinned != digest:
        logger.warning(
            "%s has the SHA-256 %s, but the first download of %s had %s, which is stored in %s. The publisher may have replaced "
            "the file. The new file is used. Delete the stored hash to accept the file without this warning.",
            url,
            digest,
            path.name,
            pinned,
            pin_file(path),
        )


def _converted(entry: ModelFile, path: Path, url: str, digest: str) -> Path:
    """Convert the file ``path`` to safetensors, delete the original, and return the new path.

    If the conversion fails, the file is kept, and a warning is logged.
    """
    if path.suffix == SUFFIX:
        return path
    target = path.with_suffix(SUFFIX)
    try:
        state_dict = read_state_dict(path)
        architecture = match_architecture(state_dict, ARCHITECTURES, path.name)
        source = f"{path.name}, {url}, SHA-256 {digest}"
        metadata = WeightMetadata(architecture.name, architecture.config(state_dict), entry.licence, source)
        write_weights(target, state_dict, metadata)
    except (PsfrError, OSError) as error:
        logger.warning("%s could not be converted to safetensors and is used as it is: %s", path, error)
        return path
    with contextlib.suppress(OSError):  # another program may have the file open
        path.unlink()
    return target
