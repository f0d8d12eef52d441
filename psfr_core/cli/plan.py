"""Plan which images a command reads and which files it writes, before the command computes anything."""

from __future__ import annotations

import argparse
import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Generator, Hashable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path, PurePath
from typing import Generic

from ..errors import ImageFileError, OptionError
from ..files import expand_user
from ..images.decoding import MAX_PIXELS
from ..images.folders import FoundImages, P, search_images
from ..images.formats import LOSSLESS_SUFFIXES, WRITABLE_SUFFIXES, is_readable, unreadable_reason
from ..url_path import Location, UrlPath, parse_local_path, parse_location
from .console import report

_SHOWN_RENAMES = 5


@dataclass(frozen=True)
class Plan(Generic[P]):
    """Target of each image, the images that ``--resume`` skips, and the result of the search for images."""

    targets: Mapping[P, P]
    finished: frozenset[P]
    found: FoundImages[P]

    @property
    def pending_targets(self) -> dict[P, P]:
        """Targets of the unfinished images."""
        return {source: target for source, target in self.targets.items() if source not in self.finished}

    @property
    def skipped(self) -> dict[P, str]:
        """Skipped images and the reasons."""
        finished = {
            source: f"the result {target} exists" for source, target in self.targets.items() if source in self.finished
        }
        return {**finished, **self.found.skipped}


def local_path(text: str) -> Path:
    """Convert an argument with ``parse_local_path``."""
    with _argument_errors():
        return parse_local_path(text)


def location(text: str) -> Location:
    """Convert an argument with ``parse_location``."""
    with _argument_errors():
        return parse_location(text)


@contextmanager
def _argument_errors() -> Generator[None]:
    """Convert an OptionError inside the block to the type of error whose message argparse shows."""
    try:
        yield
    except OptionError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_file_arguments(
    parser: argparse.ArgumentParser,
    output: str,
    resume: str = "skip images whose results already exist",
    *,
    inputs: str = "image files, folders, or patterns such as 'photos/*.jpg'",
    output_type: Callable[[str], PurePath] = local_path,
) -> None:
    """Add the arguments for inputs and output. ``output``, ``resume`` and ``inputs`` are the help texts of the arguments."""
    parser.add_argument("inputs", nargs="+", metavar="IN", help=inputs)
    parser.add_argument("-o", "--output", type=output_type, required=True, metavar="OUT", help=output)
    parser.add_argument(
        "--recursive", action="store_true", help="also search subfolders; results keep the folder structure"
    )
    parser.add_argument("--resume", action="store_true", help=resume)
    add_size_limit_argument(parser)


def add_size_limit_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--max-megapixels``. Its value is stored in pixels as ``max_pixels``, and 0 as None."""
    parser.add_argument(
        "--max-megapixels",
        dest="max_pixels",
        type=_pixels,
        default=MAX_PIXELS,
        metavar="N",
        help=f"maximum size of an image in megapixels; 0: no limit; default: {MAX_PIXELS / 1e6:g}",
    )


def _pixels(megapixels: str) -> int | None:
    """Convert a text in megapixels to pixels. Return None for 0."""
    number = float(megapixels)
    if not (isfinite(number) and number >= 0):
        raise argparse.ArgumentTypeError(f"must be a number of at least 0, got {megapixels}")
    return max(1, round(number * 1e6)) if number else None


def plan_from_args(
    args: argparse.Namespace,
    suffix: str | None,
    written: Callable[[Path], Iterable[Path]] = lambda target: [target],
    *,
    also_read: Iterable[str | Path | None] = (),
) -> Plan[Path]:
    """Find the images and plan the outputs for the arguments of ``add_file_arguments``. See ``plan_outputs``."""
    inputs = [parse_local_path(entry) for entry in args.inputs]
    found = search_images(inputs, recursive=args.recursive, leave_out=args.output)
    return plan_outputs(found, args.output, suffix, written, resume=args.resume, also_read=also_read)


def plan_outputs(
    found: FoundImages[P],
    output: P,
    suffix: str | None = None,
    written: Callable[[P], Iterable[P]] = lambda target: [target],
    *,
    resume: bool = False,
    also_read: Iterable[str | Path | None] = (),
) -> Plan[P]:
    """Choose the target of each image.

    If targets would have the same name, the suffix or the folder of the image, or a hash of its path, is added to each name, and
    the new names are reported.

    Args:
        found: images to process.
        output: folder, or a file if there is only one image.
        suffix: suffix of all targets; if None, lossless suffixes are kept and others become ``.png``.
        written: returns all files that the command writes for a target.
        resume: whether images whose results all exist count as finished.
        also_read: other files that the command reads.

    Raises:
        ImageFileError: no image was found.
        OptionError: a result would overwrite an input or another result, ``output`` cannot be written or is one file for
            several images, or ``resume`` finds an input that may be a result.
    """
    if not found.images:
        reasons = [f"{path}: {reason}" for path, reason in found.skipped.items()]
        raise ImageFileError("\n".join([*found.failures.values(), *reasons]))
    if _looks_like_file(output):
        targets = {next(iter(found.images)): _checked_file(output, len(found.images), suffix)}
    else:
        check_folder(output)
        targets = _distinct_targets(found.images, output, suffix, written)
        if resume:
            _check_no_input_is_a_result(found.images, output, suffix)
    outputs = {source: list(written(target)) for source, target in targets.items()}
    given = [Path(name) for name in also_read if name is not None]
    check_overwrites([path for paths in outputs.values() for path in paths], [*targets, *given])
    existing = _existing([path for paths in outputs.values() for path in paths], output) if resume else set[P]()
    finished = [source for source, paths in outputs.items() if existing.issuperset(paths)]
    return Plan(targets, frozenset(finished), found)


def check_overwrites(outputs: Iterable[PurePath], inputs: Iterable[PurePath]) -> None:
    """Raise OptionError if an output is a local folder, or is the same file as an input, directly or through links.

    URLs are compared as text, except URLs of local files, which are resolved. URLs are not checked for folders.
    """
    read = {_identity(path) for path in inputs} - {None}
    for path in outputs:
        if isinstance(path, Path) and _has_type(path, stat.S_ISDIR):
            raise OptionError(
                f"{path} is a folder, but a file must be written there. Remove the folder, or choose another output."
            )
        if _identity(path) in read:
            raise OptionError(f"{path} is an input and must not be overwritten. Choose another output.")


def check_is_new(target: Path, *, force: bool) -> None:
    """Raise OptionError if ``target`` exists, unless ``force`` is true."""
    if target.exists() and not force:
        raise OptionError(f"{target} already exists. Choose another name, or overwrite it with --force.")


def check_folder(folder: PurePath) -> None:
    """Raise OptionError if ``folder`` is not a writable folder and cannot be created. URLs are not checked."""
    if not isinstance(folder, Path):
        return
    nearest = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not nearest.is_dir():
        raise OptionError(f"{nearest} is a file, not a folder. Choose another output folder, or remove the file.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OptionError(f"The folder {nearest} is not writable. Change its permissions, or choose another folder.")


def existing_folders(flag: str, folders: Iterable[str | Path]) -> list[Path]:
    """Return the folders given with ``flag``. Raise OptionError if a folder does not exist."""
    found = [expand_user(folder) for folder in folders]
    for folder in found:
        if not folder.is_dir():
            raise OptionError(f"{flag} {folder} is not a folder. Use an existing folder, or omit the option.")
    return found


def _existing(paths: Iterable[P], output: P) -> set[P]:
    """Return those of ``paths`` that are files. The files below the URL of a folder are listed instead of requested one by one."""
    if isinstance(output, UrlPath) and not _looks_like_file(output):
        stored: set[PurePath] = {*output.find_files()}
        return {path for path in paths if path in stored}
    return {
        path
        for path in paths
        if (path.is_file() if isinstance(path, UrlPath) else isinstance(path, Path) and _has_type(path, stat.S_ISREG))
    }


def _has_type(path: Path, is_type: Callable[[int], bool]) -> bool:
    """Return whether ``path`` exists and has a type such as ``stat.S_ISREG``. A name that is too long does not exist."""
    try:
        return is_type(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _identity(path: PurePath) -> Hashable:
    """Return the device and inode of a file, which are equal for all links to the file, or None if it does not exist.

    Return the URL itself of a file that is not on a local disk.
    """
    if not isinstance(path, Path):
        if path.parts[:1] != ("local:",):
            return path
        path = Path("/", *path.parts[1:])
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _distinct_targets(
    images: Mapping[P, PurePath], output: P, suffix: str | None, written: Callable[[P], Iterable[P]]
) -> dict[P, P]:
    """Return a target for each image, so that no two images write the same file."""
    levels = dict.fromkeys(images, 0)
    while True:
        targets = {
            source: _target(source, relative, output, suffix, levels[source]) for source, relative in images.items()
        }
        # names are compared without case, because many file systems are case-insensitive
        names = {source: [str(path).casefold() for path in written(target)] for source, target in targets.items()}
        counts = Counter(name for group in names.values() for name in group)
        duplicate = next((source for source, group in names.items() if len({*group}) < len(group)), None)
        if duplicate is not None:
            raise OptionError(f"{targets[duplicate]} would be written twice. Use two output folders.")
        conflicting = [source for source, group in names.items() if any(counts[name] > 1 for name in group)]
        if not conflicting:
            break
        for source in conflicting:
            levels[source] += 1
    _report_renamed({source: targets[source] for source, level in levels.items() if level})
    return targets


def _check_no_input_is_a_result(images: Mapping[P, PurePath], output: P, suffix: str | None) -> None:
    """Raise OptionError if an input has the name of the result of another input."""
    for source, relative in images.items():
        result = _target(source, relative, output, suffix)
        if result != source and result in images:
            raise OptionError(
                f"--resume cannot tell whether {result} is an input or the result of {source}. Choose an output folder without "
                "inputs, and move earlier results there."
            )


def _target(source: PurePath, relative: PurePath, output: P, suffix: str | None, level: int = 0) -> P:
    return output / relative.parent / f"{_stem(source, level)}{suffix or _lossless(source.suffix)}"


def _stem(source: PurePath, level: int) -> str:
    """Return the file name of the target of ``source`` without suffix. Higher levels distinguish more images.

    The name depends only on the image and the level, so that ``--resume`` finds the result again.
    """
    full = source.resolve() if isinstance(source, Path) else source
    kind, folder = source.suffix[1:], full.parent.name
    digest = hashlib.sha256(os.fsencode(full)).hexdigest()
    names = (source.stem, f"{source.stem}_{kind}", f"{folder}_{source.stem}", f"{folder}_{source.stem}_{kind}")
    return names[level] if level < len(names) else f"{source.stem}_{digest[: level * 2]}"


def _report_renamed(targets: Mapping[P, P]) -> None:
    if targets:
        shown = [f"{source} -> {target}" for source, target in [*targets.items()][:_SHOWN_RENAMES]]
        more = f" and {len(targets) - len(shown)} more" if len(targets) > len(shown) else ""
        report(f"Images with the same name get different result names: {', '.join(shown)}{more}.")


def _looks_like_file(output: PurePath) -> bool:
    """Return whether ``output`` is not an existing folder and has the suffix of an image, which may be unreadable, or .json."""
    is_folder = isinstance(output, Path | UrlPath) and output.is_dir()
    is_image = is_readable(output) or unreadable_reason(output) is not None
    return not is_folder and (is_image or output.suffix.lower() == ".json")


def _checked_file(output: P, count: int, suffix: str | None) -> P:
    """Return the file ``output``. Raise OptionError unless it can be written as the result of a single image."""
    if count > 1:
        raise OptionError(f"{output} is one file, but there are {count} images. Use a folder.")
    if suffix is not None and suffix != output.suffix.lower():
        raise OptionError(
            f"{output}: this command writes {suffix} files, not {output.suffix}. Use a folder or a {suffix} file."
        )
    if output.suffix.lower() not in WRITABLE_SUFFIXES:
        raise OptionError(
            f"{output}: {output.suffix} files cannot be written. Use one of {', '.join(WRITABLE_SUFFIXES)}."
        )
    if isinstance(output, Path) and output.exists() and not output.is_file():
        raise OptionError(f"{output} is not a regular file. Use a folder or another file.")
    check_folder(output.parent)
    return output


def _lossless(suffix: str) -> str:
    return suffix if suffix.lower() in LOSSLESS_SUFFIXES else ".png"
