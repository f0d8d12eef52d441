"""Commands that go through image files one by one: what fails is reported, the rest goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from ..errors import ImageFileError, PsfrError
from ..imaging.io import WRITABLE_SUFFIXES, find_images
from .progress import progress_bar


def plan_outputs(inputs: Iterable[str], output: Path, suffix: str | None = None) -> dict[Path, Path]:
    """Where the result of each input image goes: into the folder ``output``, or to the file ``output`` for a single image.

    ``suffix`` replaces the suffix of the inputs. Raises ImageFileError when two results would have one name, or a result would
    overwrite an input.
    """
    sources = find_images(list(inputs))
    if len(sources) == 1 and output.suffix.lower() in WRITABLE_SUFFIXES and not output.is_dir():
        plan = {sources[0]: output}
    else:
        plan = {source: output / source.with_suffix(suffix or _writable(source.suffix)).name for source in sources}
    taken: dict[Path, Path] = {source.resolve(): source for source in sources}
    for source, target in plan.items():
        other = taken.setdefault(target.resolve(), source)
        if target.resolve() in {path.resolve() for path in sources}:
            raise ImageFileError(f"{target} is an input and is not overwritten. Choose another output folder.")
        if other is not source:
            raise ImageFileError(
                f"{source} and {other} would both be written to {target}. Rename one, or use two output folders."
            )
    return plan


def for_each_image(label: str, plan: dict[Path, Path], process: Callable[[Path, Path], None]) -> int:
    """Exit code 0 when ``process(source, target)`` succeeded for every image, else 1; folders of the targets are made."""
    failed = 0
    with progress_bar(label, unit="image") as show:
        for done, (source, target) in enumerate(plan.items(), start=1):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                process(source, target)
            except (PsfrError, OSError) as error:
                failed += 1
                print(f"{source}: {error}", file=sys.stderr)
            show(done, len(plan))
    if failed:
        print(f"{failed} of {len(plan)} images failed, see above.", file=sys.stderr)
    return 1 if failed else 0


def _writable(suffix: str) -> str:
    return suffix if suffix.lower() in WRITABLE_SUFFIXES else ".png"
