from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from psfr_core.cli.plan import Plan, add_file_arguments, check_folder, check_overwrites, plan_outputs
from psfr_core.errors import ImageFileError, OptionError
from psfr_core.images.folders import search_images
from psfr_core.url_path import UrlPath


def write_image(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)
    return str(path)


def plan_of(inputs: list[str], output: Path, *arguments: Any, recursive: bool = False, **options: Any) -> Plan[Path]:
    return plan_outputs(search_images(inputs, recursive=recursive), output, *arguments, **options)


def targets(inputs: list[str], output: Path, *arguments: Any, **options: Any) -> dict[Path, Path]:
    return dict(plan_of(inputs, output, *arguments, **options).targets)


def test_results_keep_the_names_of_images(tmp_path: Path) -> None:
    a, b = write_image(tmp_path / "in" / "a.png"), write_image(tmp_path / "in" / "b.bmp")
    assert list(targets([a, b], tmp_path / "out").values()) == [tmp_path / "out" / "a.png", tmp_path / "out" / "b.png"]
    assert targets([a], tmp_path / "out", ".webp")[Path(a)] == tmp_path / "out" / "a.webp"


@pytest.mark.parametrize(
    ("name", "result"), [("a.jpg", "a.png"), ("a.JPEG", "a.png"), ("a.PNG", "a.PNG"), ("a.webp", "a.webp")]
)
def test_results_are_lossless_by_default(tmp_path: Path, name: str, result: str) -> None:
    a = write_image(tmp_path / name)
    assert targets([a], tmp_path / "out")[Path(a)] == tmp_path / "out" / result
    assert targets([a], tmp_path / "out", ".jpg")[Path(a)] == tmp_path / "out" / "a.jpg"
    assert targets([a], tmp_path / "b.jpg")[Path(a)] == tmp_path / "b.jpg"


def test_output_may_be_a_file_for_one_image(tmp_path: Path) -> None:
    a = write_image(tmp_path / "a.png")
    assert targets([a], tmp_path / "b.jpg") == {Path(a): tmp_path / "b.jpg"}


def test_inputs_are_never_overwritten(tmp_path: Path) -> None:
    a = write_image(tmp_path / "a.png")
    for output in (tmp_path, tmp_path / "a.png"):
        with pytest.raises(OptionError, match="is an input and must not be overwritten"):
            targets([a], output)


def test_links_to_inputs_are_not_overwritten(tmp_path: Path) -> None:
    a = write_image(tmp_path / "in" / "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").hardlink_to(a)
    with pytest.raises(OptionError, match="is an input and must not be overwritten"):
        targets([a], tmp_path / "out")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a.jpg", "a.png"), ["a_jpg.png", "a_png.png"]),
        (("a.jpg", "a.png", "b.png"), ["a_jpg.png", "a_png.png", "b.png"]),
        (("one/a.png", "two/a.png"), ["one_a.png", "two_a.png"]),
        (("one/IMG.png", "two/img.png"), ["one_IMG.png", "two_img.png"]),
        (("one/a.png", "two/a.png", "two/a.jpg"), ["one_a.png", "two_a.png", "a_jpg.png"]),
    ],
)
def test_images_with_the_same_name_get_distinct_result_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: tuple[str, ...], expected: list[str]
) -> None:
    inputs = [write_image(tmp_path / "in" / name) for name in names]
    planned = targets(inputs, tmp_path / "out")
    assert [planned[Path(name)].name for name in inputs] == expected
    assert {**targets(inputs[::-1], tmp_path / "out")} == planned  # the order of the images has no effect
    assert f"{inputs[0]} -> {tmp_path / 'out' / expected[0]}" in capsys.readouterr().err


def test_folders_with_the_same_name_get_distinct_result_names(tmp_path: Path) -> None:
    inputs = [write_image(tmp_path / above / "in" / "a.png") for above in ("x", "y", "z")]
    names = [path.name for path in targets(inputs, tmp_path / "out").values()]
    assert len({*names}) == 3
    assert all(name.startswith("a_") for name in names)


def test_all_written_files_have_distinct_names(tmp_path: Path) -> None:
    inputs = [write_image(tmp_path / "in" / name) for name in ("a.png", "a_compare.png")]
    planned = targets(inputs, tmp_path / "out", None, lambda t: [t, t.with_name(f"{t.stem}_compare.png")])
    assert [path.name for path in planned.values()] == ["a_png.png", "a_compare_png.png"]


def test_recursive_results_keep_the_folder_structure(tmp_path: Path) -> None:
    for name in ("a.jpg", "x/a.png", "x/y/b.webp"):
        write_image(tmp_path / "in" / name)
    planned = targets([str(tmp_path / "in")], tmp_path / "out", recursive=True)
    assert [path.relative_to(tmp_path / "out").as_posix() for path in planned.values()] == [
        "a.png",
        "x/a.png",
        "x/y/b.webp",
    ]


def test_images_with_all_results_are_finished(tmp_path: Path) -> None:
    inputs = [write_image(tmp_path / "in" / name) for name in ("a.png", "b.png", "c.png")]
    (tmp_path / "out").mkdir()
    for name in ("a.png", "a.json", "b.png"):
        (tmp_path / "out" / name).touch()
    plan = plan_of(inputs, tmp_path / "out", ".png", lambda t: [t, t.with_suffix(".json")], resume=True)
    assert list(plan.pending_targets) == [Path(name) for name in inputs[1:]]
    assert plan.skipped == {Path(inputs[0]): f"the result {tmp_path / 'out' / 'a.png'} exists"}
    assert not plan_of(inputs, tmp_path / "out", ".png").finished


def test_earlier_results_among_the_inputs_are_not_resumed(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg")
    assert targets([str(tmp_path)], tmp_path, resume=True) == {tmp_path / "a.jpg": tmp_path / "a.png"}
    write_image(tmp_path / "a.png")
    with pytest.raises(OptionError, match=r"cannot tell whether \S+a.png is an input or the result of \S+a.jpg"):
        plan_of([str(tmp_path)], tmp_path, resume=True)
    plan = plan_of([str(tmp_path / "*.jpg")], tmp_path, resume=True)
    assert plan.finished == {tmp_path / "a.jpg"}


@pytest.mark.skipif(sys.platform == "win32", reason="local:// URLs have no drive")
def test_local_urls_of_inputs_are_not_overwritten(tmp_path: Path) -> None:
    path = Path(write_image(tmp_path / "a.png"))
    url, detour = UrlPath(f"local://{path}"), UrlPath(f"local://{tmp_path}/../{tmp_path.name}/a.png")
    for output, source in ((path, url), (url, path), (detour, url), (detour, path)):
        with pytest.raises(OptionError, match="is an input and must not be overwritten"):
            check_overwrites([output], [source])
    check_overwrites([UrlPath(f"local://{tmp_path}/b.png"), UrlPath("memory://a/a.png")], [path, url])


def test_other_inputs_are_not_overwritten(tmp_path: Path) -> None:
    a = tmp_path / "x.json"
    Image.new("RGB", (4, 4)).save(a, "PNG")
    with pytest.raises(OptionError, match=r"x\.json is an input and must not be overwritten"):
        plan_of([str(a)], tmp_path, ".png", lambda t: [t, t.with_suffix(".json")])
    weights, b = tmp_path / "out" / "b.png", write_image(tmp_path / "b.png")
    weights.parent.mkdir()
    weights.touch()
    with pytest.raises(OptionError, match="is an input and must not be overwritten"):
        plan_of([b], tmp_path / "out", also_read=["compact-face", None, str(weights)])
    check_overwrites([tmp_path / "none"], [tmp_path / "none", Path("a\0b")])


def test_missing_images_raise_with_the_skipped_files(tmp_path: Path) -> None:
    (tmp_path / "x.heic").touch()
    with pytest.raises(
        ImageFileError, match=r"(?s)contains no image.*x\.heic: \.heic files need the package pillow-heif"
    ):
        plan_of([str(tmp_path)], tmp_path / "out")


def test_an_output_with_an_unwritable_image_suffix_is_no_folder(tmp_path: Path) -> None:
    a = write_image(tmp_path / "a.png")
    with pytest.raises(OptionError, match=r"out\.cr2"):
        plan_of([a], tmp_path / "out.cr2")


def test_output_folder_that_is_a_file_raises(tmp_path: Path) -> None:
    a = write_image(tmp_path / "a.png")
    (tmp_path / "out.txt").touch()
    for output in (tmp_path / "out.txt", tmp_path / "out.txt" / "below", tmp_path / "out.txt" / "b.png"):
        with pytest.raises(OptionError, match=r"out\.txt is a file, not a folder\. Choose another output folder"):
            plan_of([a], output)


def test_folder_that_is_not_writable_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(OptionError, match="is not writable"):
        check_folder(tmp_path / "new")


@pytest.mark.parametrize(
    ("count", "output", "suffix", "words"),
    [
        (2, "x.png", None, "is one file, but there are 2 images"),
        (1, "x.bmp", None, ".bmp files cannot be written"),
        (1, "x.json", None, ".json files cannot be written"),
        (1, "x.jpg", ".png", "this command writes .png files, not .jpg. Use a folder or a .png file"),
        (1, "x.json", ".png", "this command writes .png files, not .json"),
    ],
)
def test_invalid_output_files_raise(tmp_path: Path, count: int, output: str, suffix: str | None, words: str) -> None:
    inputs = [write_image(tmp_path / "in" / f"{n}.png") for n in range(count)]
    with pytest.raises(OptionError, match=words):
        targets(inputs, tmp_path / output, suffix)


def test_pixel_limit_is_given_in_megapixels(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_file_arguments(parser, "folder")
    given = ["a.png", "-o", "out", "--max-megapixels"]
    assert [parser.parse_args([*given, text]).max_pixels for text in ("400", "0.5", "0")] == [
        400_000_000,
        500_000,
        None,
    ]
    assert parser.parse_args(given[:3]).max_pixels == 250_000_000
    for text in ("-1", "nan", "inf", "many"):
        with pytest.raises(SystemExit):
            parser.parse_args([*given, text])
        assert "--max-megapixels" in capsys.readouterr().err


def test_a_name_that_is_too_long_affects_only_its_own_file(tmp_path: Path) -> None:
    long, short = tmp_path / f"{'n' * 250}.png", tmp_path / "a.png"
    (tmp_path / "out").mkdir()
    for path in (long, short):
        path.touch()
    plan = plan_of(
        [str(tmp_path)], tmp_path / "out", None, lambda path: [path.with_name(f"{path.stem}_color.png")], resume=True
    )
    assert set(plan.pending_targets) == {long, short}
