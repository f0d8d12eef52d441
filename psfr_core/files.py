"""Read, hash, and atomically write files."""

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
_LEFTOVER_SECONDS = 3600.0  # since the last change; a file that is being written changes more often


def visible_files(folder: Path) -> list[Path]:
    """Return all files in ``folder`` and its subfolders, sorted by path, except hidden files and files in hidden folders."""
    found = (path for path in folder.rglob("*") if not any(part[0] == "." for part in path.relative_to(folder).parts))
    return sorted(path for path in found if not path.is_dir())


def expand_user(path: str | Path) -> Path:
    """Return ``path`` with a leading ``~`` or ``~user`` replaced by the home folder. Raise OptionError for an unknown user."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise OptionError(f"The home folder in {path} is unknown. Use the full path.") from error


def read_regular_file(path: Path) -> bytes:
    """Return the content of a file. Raise OSError if it is special (see ``is_special``) or cannot be read."""
    if is_special(path):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return path.read_bytes()


def is_special(path: Path) -> bool:
    """Return whether ``path`` is a special file, such as a pipe or a device, from which reading may never end.

    Returns False if the type cannot be determined.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def read_json(path: Path) -> Any:
    """Return the content of a JSON file. Raise OSError if the file cannot be read, and ValueError if it is not valid JSON."""
    try:
        return json.loads(read_regular_file(path))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def atomic_write(path: Path, data: bytes | memoryview) -> None:
    """Write ``data`` atomically to ``path``, as ``atomic_path`` describes. The folder must exist."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 with ``atomic_write``. Undecodable bytes in file names are escaped."""
    atomic_write(path, text.encode(errors="backslashreplace"))


@contextmanager
def atomic_path(path: Path) -> Generator[Path]:
    """Yield the path of a temporary file, which the block writes. If the block ends without an error, the file replaces ``path``.

    The temporary file is in the folder of ``path``. At any time, ``path`` has either its old or the complete new content, even if
    the disk is full or the program is stopped. After an error, the temporary file is removed. Any OSError is raised again with
    ``path`` as its file name. Temporary files that killed programs left in the folder are removed as well.
    """
    remove_leftovers(path.parent)
    temporary = path.with_name(f".psfr-{_host()}-{os.getpid()}-{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits. Raise OSError if it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@cache  # once per folder and process
def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of ended processes of this machine, and temporary files that have not changed for an hour."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            name = _LEFTOVER.fullmatch(entry.name)
            if name is None:
                continue
            has_ended = name["host"] == _host() and not _is_running(int(name["process"]))
            if has_ended or time.time() - entry.stat().st_mtime > _LEFTOVER_SECONDS:
                with suppress(OSError):  # another process may have removed it already
                    (folder / entry.name).unlink()


def _host() -> str:
    """Return a short identifier of this machine or container. Process identifiers are only unique within it."""
    try:
        process_namespace = str(Path("/proc/self/ns/pid").readlink())  # containers may share a host name
    except OSError:
        process_namespace = ""
    return hashlib.sha256(f"{socket.gethostname()} {process_namespace}".encode()).hexdigest()[:8]


def _is_running(process_id: int) -> bool:
    """Return whether a process exists. On Windows, where ``os.kill`` would end the process, always return True."""
    if os.name == "nt":
        return True
    try:
        os.kill(process_id, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # the process belongs to another user
        return True
    return True
