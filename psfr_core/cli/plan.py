"""The images a command reads and the files it writes, planned before anything is computed."""

from __future__ import annotations

import argparse
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from ..errors import ImageFileError, OptionError
from ..files import expand_user
from ..images.decoding import MAX_PIXELS
from ..images.folders import FoundImages, search_images
from ..images.formats import LOSSLESS_SUFFIXES, WRITABLE_SUFFIXES, is_readable
from .console import report

Written = Callable[[Path], Iterable[Path]]  # every file a command writes for one target
_SHOWN_RENAMES = 5


@dataclass(frozen=True)
class Plan:
    """The result file of each image, and the images among them that have all their results already."""

    targets: Mapping[Path, Path]
    finished: frozenset[Path]
    found: FoundImages

    @property
    def pending_targets(self) -> dict[Path, Path]:
        """The targets that are to be written."""
        return {source: target for source, target in self.targets.items() if source not in self.finished}

    @property
    def skipped(self) -> dict[Path, str]:
        """The images that are left out, with the reasons."""
        finished = {
            source: f"has a result, {target}" for source, target in self.targets.items() if source in self.finished
        }
        return {**finished, **self.found.skipped}


def add_file_arguments(parser: argparse.ArgumentParser, output: str) -> None:
    """Declare the inputs, the output and how they are searched; ``output`` is the help text of ``--output``."""
    parser.add_argument("inputs", nargs="+", metavar="IN", help="image files, folders or patterns like 'photos/*.jpg'")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help=output)
    parser.add_argument(
        "--recursive", action="store_true", help="also search what lies below folders; results keep the structure"
    )
    parser.add_argument("--resume", action="store_true", help="skip images whose results exist")
    parser.add_argument(
        "--max-megapixels",
        dest="max_pixels",
        type=_pixels,
        default=MAX_PIXELS,
        metavar="N",
        help="limit on the size of an image, width times height, in megapixels; 0: no limit; "
        f"default: {MAX_PIXELS / 1e6:g}",
    )


def _pixels(megapixels: str) -> int | None:
    """Return a number of megapixels, as text, in pixels; None for 0."""
    number = float(megapixels)
    if not (isfinite(number) and number >= 0):
        raise argparse.ArgumentTypeError(f"it must be a number of megapixels of at least 0, got {megapixels}")
    return max(1, round(number * 1e6)) if number else None


def plan_from_args(
    args: argparse.Namespace,
    suffix: str | None,
    written: Written = lambda target: [target],
    *,
    also_read: Iterable[str | Path | None] = (),
) -> Plan:
    """Return the plan for the arguments that ``add_file_arguments`` declares; see ``plan_outputs``."""
    found = search_images(args.inputs, recursive=args.recursive, leave_out=args.output)
    return plan_outputs(found, args.output, suffix, written, resume=args.resume, also_read=also_read)


def plan_outputs(
    found: FoundImages,
    output: Path,
    suffix: str | None = None,
    written: Written = lambda target: [target],
    *,
    resume: bool = False,
    also_read: Iterable[str | Path | None] = (),
) -> Plan:
    """Return where the result of each image goes: into the folder ``output``, or to the file ``output`` for one image.

    ``suffix`` replaces the suffix of the inputs; without it all but lossless ones become PNG. Results whose names would
    be the same get the suffix or the folder of their image into the name, which is reported. ``resume`` marks
    images whose results all exist as finished. ``also_read`` names further files that the command reads.
    Raises ImageFileError when there is no image, and OptionError when a result would overwrite an input, or when
    ``output`` names a file that it cannot be.
    """
    if not found.images:
        reasons = [f"{path}: {reason}" for path, reason in found.skipped.items()]
        raise ImageFileError("\n".join([*found.failures.values(), *reasons]))
    if _looks_like_file(output):
        targets = {next(iter(found.images)): _checked_file(output, len(found.images), suffix)}
    else:
        check_folder(output)
        targets = _distinct_targets(found.images, output, suffix, written)
    outputs = {source: list(written(target)) for source, target in targets.items()}
    given = [Path(name) for name in also_read if name is not None]
    check_overwrites([path for paths in outputs.values() for path in paths], [*targets, *given])
    finished = [source for source, paths in outputs.items() if resume and all(path.is_file() for path in paths)]
    return Plan(targets, frozenset(finished), found)


def check_overwrites(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise OptionError when one of ``outputs`` is a folder, or one of ``inputs``, whatever names and links lead to it."""
    read = {_identity(path) for path in inputs} - {None}
    for path in outputs:
        if path.is_dir():
            raise OptionError(
                f"{path} is a folder, where a file is to be written. Remove it, or choose another output."
            )
        if _identity(path) in read:
            raise OptionError(f"{path} is an input and is not overwritten. Choose another output.")


def check_folder(folder: Path) -> None:
    """Raise OptionError unless ``folder`` is a folder, or can become one, in which files can be written."""
    nearest = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not nearest.is_dir():
        raise OptionError(
            f"{nearest} is an existing file, not a folder. Name another folder for the results, or remove the file."
        )
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OptionError(f"Nothing can be written into {nearest}. Change its permissions, or name another folder.")


def existing_folders(flag: str, folders: Iterable[str | Path]) -> list[Path]:
    """Return the folders that were given with ``flag``; OptionError for one that does not exist."""
    found = [expand_user(folder) for folder in folders]
    for folder in found:
        if not folder.is_dir():
            raise OptionError(f"{flag} {folder} is not a folder. Name an existing folder, or leave it out.")
    return found


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what all names of a file have in common; None when there is no such file."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _distinct_targets(
    images: Mapping[Path, Path], output: Path, suffix: str | None, written: Written
) -> dict[Path, Path]:
    """Return a target for each image, none of whose files is also written for another image."""
    levels = dict.fromkeys(images, 0)
    while True:
        targets = {
            source: output / place.parent / f"{_stem(source, levels[source])}{suffix or _lossless(source.suffix)}"
            for source, place in images.items()
        }
        # Many disks make one file of names that differ in capitals.
        names = {source: [str(path).casefold() for path in written(target)] for source, target in targets.items()}
        counts = Counter(name for group in names.values() for name in group)
        twice = next((source for source, group in names.items() if len({*group}) < len(group)), None)
        if twice is not None:
            raise OptionError(f"{targets[twice]} would be written twice. Use two output folders.")
        alike = [source for source, group in names.items() if any(counts[name] > 1 for name in group)]
        if not alike:
            break
        for source in alike:
            levels[source] += 1
    _report_renamed({source: targets[source] for source, level in levels.items() if level})
    return targets


def _stem(source: Path, level: int) -> str:
    """Return the name of a result without its suffix; each level tells more images apart.

    The name depends on the image alone, so that ``--resume`` finds the result again.
    """
    kind, folder = source.suffix[1:], source.resolve().parent.name
    digest = hashlib.sha256(os.fsencode(source.resolve())).hexdigest()
    names = (source.stem, f"{source.stem}_{kind}", f"{folder}_{source.stem}", f"{folder}_{source.stem}_{kind}")
    return names[level] if level < len(names) else f"{source.stem}_{digest[: level * 2]}"


def _report_renamed(targets: Mapping[Path, Path]) -> None:
    if targets:
        shown = [f"{source} -> {target}" for source, target in [*targets.items()][:_SHOWN_RENAMES]]
        more = f" and {len(targets) - len(shown)} more" if len(targets) > len(shown) else ""
        report(f"Images of the same name get results of distinct names: {', '.join(shown)}{more}.")


def _looks_like_file(output: Path) -> bool:
    return not output.is_dir() and (is_readable(output) or output.suffix.lower() == ".json")


def _checked_file(output: Path, count: int, suffix: str | None) -> Path:
    if count > 1:
        raise OptionError(f"{output} is one file, but there are {count} images. Name a folder.")
    if suffix is not None and suffix != output.suffix.lower():
        raise OptionError(
            f"{output}: this writes {suffix} files, not {output.suffix}. Name a folder or a {suffix} file."
        )
    if output.suffix.lower() not in WRITABLE_SUFFIXES:
        raise OptionError(f"{output}: cannot write {output.suffix}. Use one of {', '.join(WRITABLE_SUFFIXES)}.")
    if output.exists() and not output.is_file():
        raise OptionError(f"{output} is not a regular file. Name a folder or another file.")
    check_folder(output.parent)
    return output


def _lossless(suffix: str) -> str:
    return suffix if suffix.lower() in LOSSLESS_SUFFIXES else ".png"
