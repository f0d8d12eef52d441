"""Find image files by path, in folders, and by patterns."""

from __future__ import annotations

import errno
import glob
import logging
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from fnmatch import fnmatch
from pathlib import Path, PurePath
from typing import Generic, TypeVar

from ..errors import ImageFileError
from .formats import FORMAT_LIST, is_readable, unreadable_reason

_log = logging.getLogger(__name__)
P = TypeVar("P", bound=PurePath)


@dataclass(frozen=True)
class FoundImages(Generic[P]):
    """Result of ``search_images`` or ``search_locations``.

    ``images`` maps each image to its path relative to the folder that was searched. ``skipped`` maps unreadable image
    files to the reason. ``failures`` maps inputs without images, and folders that cannot be opened, to a message.
    ``others`` lists files that are not images. ``unsearched`` lists subfolders that the search did not enter.
    """

    images: dict[P, PurePath] = field(default_factory=dict[P, PurePath])
    skipped: dict[P, str] = field(default_factory=dict[P, str])
    failures: dict[P, str] = field(default_factory=dict[P, str])
    others: list[P] = field(default_factory=list[P])
    unsearched: list[P] = field(default_factory=list[P])


def search_images(
    inputs: Sequence[str | Path], *, recursive: bool = False, leave_out: Path | None = None
) -> FoundImages[Path]:
    """Find the images that ``inputs`` name: files, folders, and patterns like ``*.png``. Each image is listed only once.

    The images of folders and patterns are sorted by name and have a readable suffix; hidden files are ignored. A file that is
    itself an input is accepted with any suffix. ``recursive`` also searches subfolders. For recursive searches and for patterns
    with ``**``, the relative path of an image includes its subfolders. Otherwise, it is the file name. An existing path is taken
    literally, even if it contains brackets. ``recursive`` and ``**`` do not enter the subfolder ``leave_out``. If an input cannot
    be read or has no images, this is recorded in the result, and the search continues.
    """
    search = _Search(recursive, leave_out)
    for entry in map(Path, inputs):
        before = search.count
        search.add(entry)
        if search.count == before and entry not in search.found.failures:
            search.fail(entry, f"contains no image ({FORMAT_LIST})")
    return search.found


def find_images(inputs: Sequence[str | Path]) -> list[Path]:
    """Return the images that ``search_images`` finds, and log a warning for each skipped file.

    Raises ImageFileError for an input without images and for a folder that cannot be opened.
    """
    found = search_images(inputs)
    for message in found.failures.values():
        raise ImageFileError(message)
    for path, reason in found.skipped.items():
        _log.warning("%s is skipped: %s", path, reason)
    return list(found.images)


def sort_frames(found: FoundImages[P]) -> FoundImages[P]:
    """Return ``found`` with the images of each folder in the order of their names, whose digits count as numbers: 2.png, 10.png."""
    folders = {folder: index for index, folder in enumerate(dict.fromkeys(path.parent for path in found.images))}

    def key(path: P) -> tuple[int, list[str | int], str]:
        parts = re.split("([0-9]+)", path.name)  # text and digits alternate
        return folders[path.parent], [int(part) if index % 2 else part for index, part in enumerate(parts)], path.name

    return replace(found, images={path: found.images[path] for path in sorted(found.images, key=key)})


class _PathType(Enum):
    FILE = "a file"
    FOLDER = "a folder"
    SPECIAL = "not a regular file"
    BROKEN_LINK = "a broken link"
    NOTHING = "nothing"


class _Search:
    """A search in progress. ``count`` is the number of images found so far, including duplicates."""

    def __init__(self, recursive: bool, leave_out: Path | None) -> None:
        self.found: FoundImages[Path] = FoundImages()
        self.count = 0
        self._recursive = recursive
        self._left_out = None if leave_out is None else os.path.realpath(leave_out)
        self._real_paths: set[str] = set()

    def fail(self, entry: Path, reason: str) -> None:
        self.found.failures[entry] = f"{entry} {reason}."

    def add(self, entry: Path) -> None:
        path_type = _path_type(entry)
        if path_type is _PathType.FOLDER:
            self._add_folder(entry)
        elif path_type is _PathType.FILE:
            self._add_image(entry, Path(entry.name))
        elif path_type is not _PathType.NOTHING:
            self.fail(entry, f"is {path_type.value}. Name an image file, a folder or a pattern like 'photos/*.jpg'")
        else:
            self._add_pattern(entry)

    def _add_folder(self, folder: Path) -> None:
        for below in self._folders_below(folder) if self._recursive else [folder]:
            for path in self._children(below):
                self._add_found(path, path.relative_to(folder))

    def _add_pattern(self, entry: Path) -> None:
        root = Path(entry.anchor)
        parts = [part for part in entry.parts if part != entry.anchor]
        while parts and _is_literal(root / parts[0]):
            root /= parts.pop(0)
        if not parts:
            self.fail(entry, "does not exist. Name an image file, a folder or a pattern like 'photos/*.jpg'")
            return
        for path in self._matches(root, parts):
            if "**" not in parts:
                self._add_found(path, Path(path.name))
            elif _path_type(path) is not _PathType.FOLDER:
                self._add_found(path, path.relative_to(root))

    def _matches(self, folder: Path, parts: Sequence[str]) -> Iterator[Path]:
        """Yield the paths below ``folder`` that match the pattern ``parts``, which has one entry for each level of folders."""
        if not parts:
            yield folder
            return
        part, *rest = parts
        if part == "**":
            for below in self._folders_below(folder):
                yield from self._matches(below, rest or ["*"])
        elif _is_literal(folder / part):
            yield from self._matches(folder / part, rest)
        elif _path_type(folder) is _PathType.FOLDER:
            for path in self._children(folder):
                if fnmatch(path.name, part):
                    yield from self._matches(path, rest)

    def _folders_below(self, top: Path) -> Iterator[Path]:
        """Yield ``top`` and its subfolders at all depths except the left-out one, each only once even if links form a loop."""
        entered = {self._left_out}
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            real_path = os.path.realpath(folder)
            if folder is top or real_path not in entered:
                entered.add(real_path)
                yield folder
                waiting += [path for path in reversed(self._children(folder)) if _path_type(path) is _PathType.FOLDER]

    def _children(self, folder: Path) -> list[Path]:
        """Return the sorted entries of ``folder``. If it cannot be opened, record a failure and return an empty list."""
        try:
            return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        except OSError as error:
            self.fail(folder, f"cannot be searched: {error.strerror or error}")
            return []

    def _add_found(self, path: Path, relative: Path) -> None:
        """Record ``path``, found in a folder or by a pattern, as an image, a skipped file, another file, or a subfolder."""
        path_type = _path_type(path)
        if path_type is _PathType.FOLDER:
            if not self._recursive and os.path.realpath(path) != self._left_out:
                self.found.unsearched.append(path)
        elif is_readable(path):
            if path_type is _PathType.FILE:
                self._add_image(path, relative)
            elif path_type is not _PathType.NOTHING:
                self.found.skipped[path] = path_type.value
        elif reason := unreadable_reason(path):
            self.found.skipped[path] = reason
        elif path_type is not _PathType.NOTHING:
            self.found.others.append(path)

    def _add_image(self, path: Path, relative: Path) -> None:
        self.count += 1
        real_path = os.path.realpath(path)
        if real_path not in self._real_paths:
            self._real_paths.add(real_path)
            self.found.images[path] = relative


def _path_type(path: Path) -> _PathType:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL):
            return _PathType.FILE  # for example, permission is missing; the reader reports the reason later
        return _PathType.BROKEN_LINK if path.is_symlink() else _PathType.NOTHING
    except ValueError:  # the path contains a null character
        return _PathType.NOTHING
    if stat.S_ISDIR(mode):
        return _PathType.FOLDER
    return _PathType.FILE if stat.S_ISREG(mode) else _PathType.SPECIAL


def _is_literal(path: Path) -> bool:
    return not glob.has_magic(path.name) or _path_type(path) is not _PathType.NOTHING
