"""Files of any kind: written whole, or known by their hash."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` into the file ``path``, whose folder must exist.

    Under that name there is at any time either what was there before or all of ``data``, also when the disk is full
    or the program is stopped. OSError, which names ``path``, when writing fails; nothing is left behind then.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits; OSError if it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
