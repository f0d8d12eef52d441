"""Commands that go through image files one by one: what fails is reported, the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from ..errors import OptionError, PsfrError, is_out_of_memory
from ..imaging.io import LOSSLESS_SUFFIXES, READABLE_SUFFIXES, WRITABLE_SUFFIXES, find_images
from .progress import progress_bar, report

Written = Callable[[Path], Iterable[Path]]  # every file a command writes for one target


def plan_outputs(
    inputs: Iterable[str], output: Path, suffix: str | None = None, written: Written = lambda target: [target]
) -> dict[Path, Path]:
    """Where the result of each input image goes: into the folder ``output``, or to the file ``output`` for a single image.

    ``suffix`` replaces the suffix of the inputs; without it all but lossless ones become PNG. Raises OptionError when two
    results would have one name, when a result would overwrite an input, or when ``output`` names a file that it cannot be.
    """
    sources = find_images(list(inputs))
    if _looks_like_file(output):
        plan = {sources[0]: _checked_file(output, len(sources), suffix)}
    else:
        plan = {source: output / source.with_suffix(suffix or _lossless(source.suffix)).name for source in sources}
    read = {_identity(source) for source in sources}
    taken: dict[str, Path] = {}
    for source, target in plan.items():
        for path in written(target):
            if path.exists() and _identity(path) in read:
                raise OptionError(f"{path} is an input and is not overwritten. Choose another output folder.")
            name = str(path.resolve()).casefold()  # many disks make one file of names that differ in capitals
            if name in taken:
                raise OptionError(
                    f"{path} would be written twice, for {taken[name]} and for {source}. "
                    "Rename one, or use two output folders."
                )
            taken[name] = source
    return plan


def for_each_image(label: str, plan: dict[Path, Path], process: Callable[[Path, Path], None]) -> int:
    """Exit code 0 when ``process(source, target)`` succeeded for every image, else 1; folders of the targets are made."""
    failed = 0
    with progress_bar(label, unit="image") as show:
        for done, (source, target) in enumerate(plan.items(), start=1):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                process(source, target)
            except Exception as error:
                if not (isinstance(error, (PsfrError, OSError)) or is_out_of_memory(error)):
                    raise
                failed += 1
                report(f"{source}: {str(error) or 'there is not enough memory for it'}")
            show(done, len(plan))
    if failed:
        report(f"{failed} of {len(plan)} images failed, see above.")
    return 1 if failed else 0


def _identity(path: Path) -> tuple[int, int]:
    """What a file's names have in common, links included."""
    found = path.stat()
    return found.st_dev, found.st_ino


def _looks_like_file(output: Path) -> bool:
    return not output.is_dir() and output.suffix.lower() in {*READABLE_SUFFIXES, ".json"}


def _checked_file(output: Path, count: int, suffix: str | None) -> Path:
    if count > 1:
        raise OptionError(f"{output} is one file, but there are {count} images. Name a folder.")
    if suffix is not None and suffix != output.suffix.lower():
        raise OptionError(
            f"{output}: this writes {suffix} files, not {output.suffix}. Name a folder or a {suffix} file."
        )
    if output.suffix.lower() not in WRITABLE_SUFFIXES:
        raise OptionError(f"{output}: cannot write {output.suffix}. Use one of {', '.join(WRITABLE_SUFFIXES)}.")
    return output


def _lossless(suffix: str) -> str:
    return suffix if suffix.lower() in LOSSLESS_SUFFIXES else ".png"
