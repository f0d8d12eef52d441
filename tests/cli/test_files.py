from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from psfr_core.cli.files import for_each_image, plan_outputs
from psfr_core.errors import ImageFileError, OptionError


def picture(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)
    return str(path)


def test_results_keep_their_names_in_the_folder(tmp_path: Path) -> None:
    a, b = picture(tmp_path / "in" / "a.png"), picture(tmp_path / "in" / "b.bmp")
    plan = plan_outputs([a, b], tmp_path / "out")
    assert list(plan.values()) == [tmp_path / "out" / "a.png", tmp_path / "out" / "b.png"]
    assert plan_outputs([a], tmp_path / "out", ".webp")[Path(a)] == tmp_path / "out" / "a.webp"


@pytest.mark.parametrize(
    ("name", "result"), [("a.jpg", "a.png"), ("a.JPEG", "a.png"), ("a.PNG", "a.PNG"), ("a.webp", "a.webp")]
)
def test_results_lose_nothing_unless_that_is_asked_for(tmp_path: Path, name: str, result: str) -> None:
    a = picture(tmp_path / name)
    assert plan_outputs([a], tmp_path / "out")[Path(a)] == tmp_path / "out" / result
    assert plan_outputs([a], tmp_path / "out", ".jpg")[Path(a)] == tmp_path / "out" / "a.jpg"
    assert plan_outputs([a], tmp_path / "b.jpg")[Path(a)] == tmp_path / "b.jpg"


def test_one_image_may_name_its_file(tmp_path: Path) -> None:
    a = picture(tmp_path / "a.png")
    assert plan_outputs([a], tmp_path / "b.jpg") == {Path(a): tmp_path / "b.jpg"}


def test_inputs_are_never_overwritten(tmp_path: Path) -> None:
    a = picture(tmp_path / "a.png")
    for output in (tmp_path, tmp_path / "a.png"):
        with pytest.raises(OptionError, match="is an input and is not overwritten"):
            plan_outputs([a], output)


def test_a_link_to_an_input_is_not_overwritten(tmp_path: Path) -> None:
    a = picture(tmp_path / "in" / "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").hardlink_to(a)
    with pytest.raises(OptionError, match="is an input and is not overwritten"):
        plan_outputs([a], tmp_path / "out")


@pytest.mark.parametrize("names", [("one/a.png", "two/a.png"), ("one/IMG.png", "two/img.png"), ("a.jpg", "a.png")])
def test_two_results_of_one_name_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    inputs = [picture(tmp_path / "in" / name) for name in names]
    with pytest.raises(OptionError, match="would be written twice"):
        plan_outputs(inputs, tmp_path / "out")


def test_every_file_that_will_be_written_is_checked(tmp_path: Path) -> None:
    inputs = [picture(tmp_path / "in" / name) for name in ("a.png", "a_compare.png")]
    with pytest.raises(OptionError, match=r"a_compare\.png"):
        plan_outputs(inputs, tmp_path / "out", written=lambda t: [t, t.with_name(f"{t.stem}_compare.png")])


@pytest.mark.parametrize(
    ("count", "output", "suffix", "words"),
    [
        (2, "x.png", None, "is one file, but there are 2 images"),
        (1, "x.bmp", None, "cannot write .bmp"),
        (1, "x.json", None, "cannot write .json"),
        (1, "x.jpg", ".png", "this writes .png files, not .jpg. Name a folder or a .png file"),
        (1, "x.json", ".png", "this writes .png files, not .json"),
    ],
)
def test_an_output_that_cannot_be_is_named(
    tmp_path: Path, count: int, output: str, suffix: str | None, words: str
) -> None:
    inputs = [picture(tmp_path / "in" / f"{n}.png") for n in range(count)]
    with pytest.raises(OptionError, match=words):
        plan_outputs(inputs, tmp_path / output, suffix)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ImageFileError("it is broken"), "b.png: it is broken"),
        (OSError("disk full"), "b.png: disk full"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"), "b.png: CUDA out of memory"),
        (MemoryError(), "b.png: there is not enough memory for it"),
    ],
)
def test_what_fails_is_reported_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception, words: str
) -> None:
    done: list[str] = []

    def process(source: Path, target: Path) -> None:
        if source.name == "b.png":
            raise error
        done.append(target.name)

    plan = {Path(name): tmp_path / "out" / name for name in ("a.png", "b.png", "c.png")}
    assert for_each_image("testing", plan, process) == 1
    assert done == ["a.png", "c.png"]
    printed = capsys.readouterr().err
    assert words in printed
    assert "1 of 3 images failed" in printed


def test_a_mistake_of_the_program_stops_it(tmp_path: Path) -> None:
    def process(source: Path, target: Path) -> None:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        for_each_image("testing", {Path("a.png"): tmp_path / "a.png"}, process)
