"""Files of any kind: read and written whole, or known by their hash."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import socket
import stat
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from .errors import OptionError

_LEFTOVER = re.compile(r"\.psfr-(?P<host>[0-9a-f]{8})-(?P<process>[0-9]+)-[0-9a-f]{32}\.tmp")
_LEFTOVER_SECONDS = 3600.0  # no file takes so long to write


def expand_user(path: str | Path) -> Path:
    """Return ``path`` with a leading ``~`` or ``~user`` replaced by that home folder; OptionError for an unknown user."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise OptionError(f"The home folder in {path} is not known here. Write the whole path.") from error


def read_regular_file(path: Path) -> bytes:
    """Return the content of a file; OSError for one that cannot be read, and for pipes and devices, which may never end."""
    if is_special(path):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return path.read_bytes()


def is_special(path: Path) -> bool:
    """Return whether ``path`` is a pipe or a device, whose content may never end; False where that cannot be told."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; OSError when it cannot be read, ValueError when it is not JSON."""
    try:
        return json.loads(read_regular_file(path))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def atomic_write(path: Path, data: bytes | memoryview) -> None:
    """Write ``data`` into the file ``path``, whose folder must exist; see ``atomic_path``."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, like ``atomic_write``; what of a file name is not text is escaped."""
    atomic_write(path, text.encode(errors="backslashreplace"))


@contextmanager
def atomic_path(path: Path) -> Generator[Path]:
    """Give the name of a temporary file beside ``path``, which replaces ``path`` when the block ends without an error.

    Under the name ``path`` there is at any time either what was there before or the whole new content, also when the
    disk is full or the program is stopped. After an error nothing is left behind, and an OSError names ``path``. What
    killed programs left in the folder is removed.
    """
    _remove_leftovers(path.parent)
    temporary = path.with_name(f".psfr-{_host()}-{os.getpid()}-{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, as 64 hexadecimal digits; OSError if it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@cache  # once for each folder and process
def _remove_leftovers(folder: Path) -> None:
    """Remove temporary files of this machine's ended processes, and old ones of other machines that share the disk."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            name = _LEFTOVER.fullmatch(entry.name)
            if name is None:
                continue
            has_ended = name["host"] == _host() and not _is_running(int(name["process"]))
            if has_ended or time.time() - entry.stat().st_mtime > _LEFTOVER_SECONDS:
                with suppress(OSError):  # another process may have removed it
                    (folder / entry.name).unlink()


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _is_running(process: int) -> bool:
    """Return whether there is a process of this number; True on Windows, where asking would end it."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it belongs to somebody else
        return True
    return True
