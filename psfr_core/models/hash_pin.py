"""Save the hash of the first download of a file whose hash is not published.

The hash of ``NAME`` is stored beside the file, in ``NAME.sha256``, in the format of ``sha256sum --check``.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..files import atomic_write


def pin_file(path: Path) -> Path:
    """Return the path of the file that stores the hash of ``path``."""
    return path.with_name(f"{path.name}.sha256")


def pinned_hash(path: Path) -> str | None:
    """Return the SHA-256 that is saved for the file ``path``, or None if no valid hash is saved."""
    try:
        text = pin_file(path).read_text("utf-8")
    except (OSError, ValueError):
        return None
    found = re.search(r"^([0-9a-f]{64})\b", text, re.MULTILINE)
    return found[1] if found else None


def pin_hash(path: Path, sha256: str, url: str) -> None:
    """Save the SHA-256 of the file ``path`` and its ``url``. Raise OSError if they cannot be written."""
    lines = (
        f"# The SHA-256 of the first download from {url}.",
        "# The publisher states no hash. A warning is logged if a later download differs. To accept it, delete this file.",
        f"{sha256}  {path.name}",
    )
    atomic_write(pin_file(path), "".join(f"{line}\n" for line in lines).encode())
