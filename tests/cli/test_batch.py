from __future__ import annotations

from pathlib import Path

import pytest
import torch

from psfr_core.cli.batch import run_plan, summarize
from psfr_core.cli.plan import Plan, plan_outputs
from psfr_core.errors import ImageFileError
from psfr_core.images.folders import search_images


def plan_of(folder: Path, *names: str) -> Plan[Path]:
    for name in names:
        (folder / name).touch()
    return plan_outputs(search_images([folder]), folder / "out")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ImageFileError("it is broken"), "b.png: it is broken"),
        (OSError("disk full"), "b.png: disk full"),
        (RuntimeError("Failed to decode AVIF"), "b.png: unexpected RuntimeError: Failed to decode AVIF (use --verbose"),
        (TypeError("not a number"), "b.png: unexpected TypeError: not a number"),
        (ZeroDivisionError("division by zero"), "b.png: unexpected ZeroDivisionError"),
        (RecursionError("too deep"), "b.png: unexpected RecursionError"),
        (
            torch.OutOfMemoryError("CUDA out of memory."),
            "b.png: not enough memory: CUDA out of memory.",
        ),
        (MemoryError(), "b.png: not enough memory\n"),
    ],
)
def test_failures_are_reported_and_processing_continues(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception, words: str
) -> None:
    done: list[str] = []

    def process(path: Path, _: Path) -> int:
        if path.name == "b.png":
            raise error
        done.append(path.name)
        return 2

    result = run_plan("testing", plan_of(tmp_path, "a.png", "b.png", "c.png"), process)
    assert done == ["a.png", "c.png"]
    assert (result.exit_code, result.face_count, list(result.failures)) == (1, 4, [tmp_path / "b.png"])
    printed = capsys.readouterr().err
    assert words in printed
    assert "1 of 3 images failed" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_interrupts_are_raised(tmp_path: Path, stop: type[BaseException]) -> None:
    def process(_: Path, __: Path) -> None:
        raise stop

    with pytest.raises(stop):
        run_plan("testing", plan_of(tmp_path, "a.png"), process)


def test_summary_lists_images_that_were_not_processed(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png", "done.png", "x.jxl", "note.txt", "sub/d.png"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "in" / name).touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "done.png").touch()
    found = search_images([tmp_path / "in", tmp_path / "none.png"])
    plan = plan_outputs(found, tmp_path / "out", resume=True)

    def process(source: Path, target: Path) -> int:
        if source.name == "c.png":
            raise ImageFileError("it is broken")
        return 0 if source.name == "b.png" else 1

    result = run_plan("testing", plan, process)
    assert result.exit_code == 1
    assert summarize(plan, result).splitlines() == [
        "without a face: 1",
        f"  {tmp_path}/in/b.png",
        "skipped: 2",
        f"  {tmp_path}/in/done.png: the result {tmp_path}/out/done.png exists",
        f"  {tmp_path}/in/x.jxl: .jxl files need the package pillow-jxl-plugin: pip install pillow-jxl-plugin.",
        "not images: 1",
        "subfolders not searched without --recursive: 1",
        "failed: 2",
        f"  {tmp_path}/none.png",
        f"  {tmp_path}/in/c.png",
    ]


def test_long_lists_are_truncated(tmp_path: Path) -> None:
    for number in range(25):
        (tmp_path / f"{number:02}.png").touch()
    plan = plan_outputs(search_images([tmp_path]), tmp_path / "out")
    lines = summarize(plan, run_plan("testing", plan, lambda source, target: 0)).splitlines()
    assert (len(lines), lines[-1]) == (22, "  and 5 more")
