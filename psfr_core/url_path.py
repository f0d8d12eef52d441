"""Read and write files in object storage and on other servers by their URLs."""

from __future__ import annotations

import errno
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import Any
from urllib.request import url2pathname
from uuid import uuid4

from .errors import MissingPackageError, OptionError
from .files import expand_user
from .optional_package import import_optional

_WITHOUT_HOST = ("file:", "local:")  # their URLs have an empty host name: file:///folder


class UrlPath(PurePosixPath):
    """The path of a file or folder in a store that fsspec supports, such as ``s3://bucket/photos/a.jpg``.

    Its text is the URL. Each kind of store needs a package: ``s3://`` needs s3fs, and ``gs://`` needs gcsfs. Files are read and
    written as a whole. The methods raise OSError if the store refuses an operation, MissingPackageError if a package is missing,
    and OptionError for an unknown kind of store.
    """

    def __str__(self) -> str:
        if not self.parts or not self.parts[0].endswith(":"):
            return super().__str__()  # a relative path
        store, *names = self.parts
        return f"{store}{'///' if store in _WITHOUT_HOST else '//'}{'/'.join(names)}"

    def is_file(self) -> bool:
        """Return whether there is a file at this path."""
        with self._store() as (store, path):
            return bool(store.isfile(path))

    def is_dir(self) -> bool:
        """Return whether there is a folder at this path, or any file below it."""
        with self._store() as (store, path):
            return bool(store.isdir(path))

    def read_bytes(self) -> bytes:
        """Return the content of the file."""
        with self._store() as (store, path):
            return bytes(store.cat_file(path))

    def write_bytes(self, data: bytes | memoryview) -> None:
        """Write the file atomically, and create its folder if the store has folders.

        Other programs see either the old file or the complete new file. Object stores show an object only when all of it has
        arrived. In other stores, a file with the suffix ``.part`` is written and renamed.
        """
        with self._store() as (store, path):
            if not _can_rename(store):
                store.pipe_file(path, bytes(data))
                return
            temporary = f"{path}.{uuid4().hex}.part"
            try:
                store.makedirs(store._parent(path), exist_ok=True)
                store.pipe_file(temporary, bytes(data))
                _rename(store, temporary, path)
            except BaseException:
                if store.exists(temporary):
                    store.rm_file(temporary)
                raise

    def find_files(self) -> list[UrlPath]:
        """Return the files at all depths below this folder, sorted. A missing folder has no files."""
        with self._store() as (store, path):
            try:
                return self._found(store, path, store.find(path))
            except FileNotFoundError:
                return []

    def list_folder(self) -> tuple[list[UrlPath], list[UrlPath]]:
        """Return the sorted files and the sorted subfolders directly in this folder. Raise OSError for a missing folder."""
        with self._store() as (store, path):
            entries = store.ls(path, detail=True)
            files = [entry["name"] for entry in entries if entry["type"] == "file"]
            folders = [entry["name"] for entry in entries if entry["type"] == "directory"]
            return self._found(store, path, files), self._found(store, path, folders)

    def glob(self, pattern: str) -> list[UrlPath]:
        """Return the sorted files below this folder whose relative path matches ``pattern``, such as ``*.png``."""
        with self._store() as (store, path):
            found = store.glob(f"{path.rstrip('/')}/{pattern}", detail=True)
            return self._found(store, path, [name for name, entry in found.items() if entry["type"] == "file"])

    def _found(self, store: Any, folder: str, names: list[str]) -> list[UrlPath]:
        """Return the paths of files and folders that the store found below its ``folder``, without the folder itself."""
        stripped = [PurePosixPath(store._strip_protocol(name)) for name in names]
        root = PurePosixPath(folder)
        return sorted(self / path.relative_to(root) for path in stripped if path != root)

    @contextmanager
    def _store(self) -> Generator[tuple[Any, str]]:
        """Yield the store and the path in it. Turn errors of any type that the store raises into OSError."""
        core = import_optional("fsspec.core", f"Access to {self}", "fsspec")
        try:
            store, path = core.url_to_fs(str(self))
        except ImportError as error:
            raise MissingPackageError(f"{self} cannot be accessed: {error}, for example with pip.") from error
        except ValueError as error:
            raise OptionError(
                f"{self} cannot be accessed: {error}. Use a local path or the URL of a known store."
            ) from error
        try:
            yield store, path
        except OSError:
            raise
        except Exception as error:  # clients of stores have many types of errors
            raise OSError(f"{self} cannot be accessed: {type(error).__name__}: {error}") from error


Location = Path | UrlPath
"""The path of a file or folder on a disk or in a store."""


def parse_location(text: str | PurePath) -> Location:
    """Return a UrlPath for a URL, and a Path for anything else, including ``file:///folder``. A leading ``~`` is replaced.

    Raises OptionError for a URL such as ``file://host/folder``, which names another machine.
    """
    text = str(text)
    if text.startswith("file://"):
        host, slash, path = text.removeprefix("file://").partition("/")
        if host not in ("", "localhost"):
            raise OptionError(
                f"{text} names the machine {host!r}, whose files cannot be read. Write file:///{host}{slash}{path} for the file "
                f"/{host}{slash}{path} of this machine."
            )
        return Path(url2pathname(f"/{path}"))
    return UrlPath(text) if "://" in text else expand_user(text)


def parse_local_path(text: str) -> Path:
    """Return the path of a file or folder on a disk as ``parse_location`` does. Raise OptionError for a URL of a store."""
    location = parse_location(text)
    if isinstance(location, UrlPath):
        raise OptionError(
            f"{location} is a URL, but this command needs files on a disk. Only psfr restore accepts URLs."
        )
    return location


def _rename(store: Any, source: str, target: str) -> None:
    """Rename the file ``source`` to ``target``, and replace an existing file."""
    try:
        store.mv(source, target)
    except OSError as error:
        if error.errno != errno.EEXIST:  # the error of SMB for an existing target
            raise
    if store.exists(source):  # HDFS reports no error for an existing target
        store.rm_file(target)
        store.mv(source, target)


def _can_rename(store: Any) -> bool:
    """Return whether the store renames files itself, instead of copying and deleting them as fsspec does by default."""
    spec = import_optional("fsspec.spec", "Access to a URL", "fsspec")
    return type(store).mv is not spec.AbstractFileSystem.mv
