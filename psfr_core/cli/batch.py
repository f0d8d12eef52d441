"""Process many images and summarize the results. A failed image does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from .console import count_of, describe_error, progress_bar, report
from .plan import Plan

_LISTED = 20  # maximum number of names in a list


@dataclass(frozen=True)
class Outcome:
    """The result of one image: the number of faces (None if faces were not counted), or the error."""

    path: PurePath
    faces: int | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class BatchResult:
    """The face counts of processed images (None if faces were not counted) and the errors of failed images."""

    faces: Mapping[PurePath, int | None]
    failures: Mapping[PurePath, str]

    @property
    def face_count(self) -> int:
        """Return the total number of faces."""
        return sum(count or 0 for count in self.faces.values())

    @property
    def exit_code(self) -> int:
        """Return 1 if an image failed, otherwise 0."""
        return 1 if self.failures else 0


def run_plan(label: str, plan: Plan[Path], process: Callable[[Path, Path], int | None]) -> BatchResult:
    """Call ``process(source, target)`` for each unfinished image of ``plan``, after creating the folder of its target.

    ``process`` returns the number of faces, or None. Its errors are reported, and the next image is processed. KeyboardInterrupt
    and SystemExit are not caught.
    """

    def outcome(source: Path, target: Path) -> Outcome:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            return Outcome(source, process(source, target))
        except Exception as error:
            return Outcome(source, error=error)

    return collect(label, plan, (outcome(source, target) for source, target in plan.pending_targets.items()))


def collect(label: str, plan: Plan[Any], outcomes: Iterable[Outcome]) -> BatchResult:
    """Collect the outcomes of the unfinished images of ``plan``, report each error immediately, and show the progress.

    Inputs that could not be searched for images count as failures.
    """
    failures: dict[PurePath, str] = dict(plan.found.failures)
    for message in failures.values():
        report(message)
    faces: dict[PurePath, int | None] = {}
    failed, count = 0, len(plan.pending_targets)
    with progress_bar(label, unit="image") as show:
        for done, outcome in enumerate(outcomes, start=1):
            if outcome.error is None:
                faces[outcome.path] = outcome.faces
            else:
                failed += 1
                failures[outcome.path] = describe_error(outcome.error)
                report(f"{outcome.path}: {failures[outcome.path]}")
            show(done, count)
    if failed:
        report(f"{failed} of {count_of(count, 'image')} failed; see above.")
    return BatchResult(faces, failures)


def summarize(plan: Plan[Any], result: BatchResult) -> str:
    """Return text that lists the images without faces, the skipped images and the failed images. Omit empty lists.

    The text also has the numbers of files that are not images and of subfolders that were not searched, unless they are 0.
    """
    without = [str(path) for path, count in result.faces.items() if count == 0]
    skipped = [f"{path}: {reason}" for path, reason in plan.skipped.items()]
    lines = [*_listed("without a face", without), *_listed("skipped", skipped)]
    if plan.found.others:
        lines.append(f"not images: {len(plan.found.others)}")
    if plan.found.unsearched:
        lines.append(f"subfolders not searched without --recursive: {len(plan.found.unsearched)}")
    return "".join(f"{line}\n" for line in [*lines, *_listed("failed", [str(path) for path in result.failures])])


def _listed(title: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = [f"  and {len(names) - _LISTED} more"] if len(names) > _LISTED else []
    return [f"{title}: {len(names)}", *(f"  {name}" for name in names[:_LISTED]), *more]
