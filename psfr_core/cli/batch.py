"""Process many images and summarize the results; a failed image does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .console import describe_error, progress_bar, report
from .plan import Plan

_LISTED = 20  # maximum number of names in a list


@dataclass(frozen=True)
class BatchResult:
    """The face counts of processed images (None if faces were not counted) and the errors of failed images."""

    faces: Mapping[Path, int | None]
    failures: Mapping[Path, str]

    @property
    def face_count(self) -> int:
        """Total number of faces."""
        return sum(count or 0 for count in self.faces.values())

    @property
    def exit_code(self) -> int:
        """1 if an image failed, else 0."""
        return 1 if self.failures else 0


def for_each_image(label: str, paths: Iterable[Path], process: Callable[[Path], int | None]) -> BatchResult:
    """Call ``process`` for each path, report errors, and continue; ``process`` may return a number of faces.

    KeyboardInterrupt and SystemExit are not caught.
    """
    paths = list(paths)
    faces: dict[Path, int | None] = {}
    failures: dict[Path, str] = {}
    with progress_bar(label, unit="image") as show:
        for done, path in enumerate(paths, start=1):
            try:
                faces[path] = process(path)
            except Exception as error:
                failures[path] = describe_error(error)
                report(f"{path}: {failures[path]}")
            show(done, len(paths))
    if failures:
        report(f"{len(failures)} of {len(paths)} images failed; see above.")
    return BatchResult(faces, failures)


def run_plan(label: str, plan: Plan, process: Callable[[Path, Path], int | None]) -> BatchResult:
    """Call ``process(source, target)`` for each unfinished image of ``plan``, and create the folders of targets.

    Inputs that the search could not read count as failed.
    """
    for message in plan.found.failures.values():
        report(message)

    def write(source: Path) -> int | None:
        target = plan.targets[source]
        target.parent.mkdir(parents=True, exist_ok=True)
        return process(source, target)

    result = for_each_image(label, plan.pending_targets, write)
    return BatchResult(result.faces, {**plan.found.failures, **result.failures})


def summarize(plan: Plan, result: BatchResult) -> str:
    """List the images without faces and the skipped and failed images; empty if there are none."""
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
