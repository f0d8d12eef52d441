"""Search for images on disks and in stores that are reached by URLs."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path, PurePath

from ..url_path import Location, UrlPath, parse_location
from .folders import FoundImages, search_images
from .formats import FORMAT_LIST, is_readable, unreadable_reason


def search_locations(
    inputs: Sequence[str], *, recursive: bool = False, leave_out: Location | None = None
) -> FoundImages[Location]:
    """Find the images in files, folders and patterns on disks, as ``search_images`` does, and then those at URLs.

    The rules for URLs are the same. Raises MissingPackageError and OptionError as ``UrlPath`` does.
    """
    locations = [parse_location(entry) for entry in inputs]
    left_out_folder = leave_out if isinstance(leave_out, Path) else None
    local = search_images(
        [path for path in locations if isinstance(path, Path)], recursive=recursive, leave_out=left_out_folder
    )
    found: FoundImages[Location] = FoundImages(
        {**local.images}, {**local.skipped}, {**local.failures}, [*local.others], [*local.unsearched]
    )
    for url in locations:
        if isinstance(url, UrlPath):
            _search(url, found, recursive, leave_out)
    return found


def _search(url: UrlPath, found: FoundImages[Location], recursive: bool, leave_out: Location | None) -> None:
    """Add the images of ``url`` to ``found.images``. If there are none, add the reason to ``found.failures``."""
    try:
        if url.is_file():
            found.images.setdefault(url, PurePath(url.name))
            return
        if url.is_dir():
            count = _add_folder(url, found, recursive, leave_out)
        elif glob.has_magic(str(url)):
            count = _add_pattern(url, found, leave_out)
        else:
            found.failures[url] = (
                f"{url} does not exist. Name an image file, a folder or a pattern like 'photos/*.jpg'."
            )
            return
    except OSError as error:
        found.failures[url] = f"{url} cannot be searched: {error.strerror or error}."
        return
    if count == 0:
        found.failures[url] = f"{url} contains no image ({FORMAT_LIST})."


def _add_folder(folder: UrlPath, found: FoundImages[Location], recursive: bool, leave_out: Location | None) -> int:
    if recursive:
        return _add_files(folder.find_files(), folder, found, leave_out)
    files, subfolders = folder.list_folder()
    found.unsearched.extend(path for path in subfolders if path != leave_out and not path.name.startswith("."))
    return _add_files(files, folder, found, leave_out)


def _add_pattern(url: UrlPath, found: FoundImages[Location], leave_out: Location | None) -> int:
    root = next(path for path in url.parents if not glob.has_magic(str(path)))
    pattern = url.relative_to(root).parts
    files = root.glob("/".join(pattern))
    if "**" in pattern:
        return _add_files(files, root, found, leave_out)
    return sum(_add_files([path], path.parent, found, leave_out) for path in files)


def _add_files(
    files: Sequence[UrlPath], folder: UrlPath, found: FoundImages[Location], leave_out: Location | None
) -> int:
    """Add ``files`` with their paths relative to ``folder`` to ``found``, and return the number of images.

    Hidden files and files below ``leave_out`` are ignored.
    """
    count = 0
    for path in files:
        relative = PurePath(*path.relative_to(folder).parts)
        is_hidden = any(name.startswith(".") for name in relative.parts)
        if is_hidden or (leave_out != folder and leave_out in path.parents):
            continue
        if is_readable(path):
            count += 1
            found.images.setdefault(path, relative)
        elif reason := unreadable_reason(path):
            found.skipped[path] = reason
        else:
            found.others.append(path)
    return count
