from __future__ import annotations

import inspect
import io
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from psfr_core.cli.main import main
from psfr_core.faces.detection_options import DetectionOptions
from psfr_core.faces.detector import load_detector
from psfr_core.faces.face import Face
from psfr_core.images.io import ImageFile, read_image, write_image
from psfr_core.parsing.labels import parse_regions
from psfr_core.restoration.color_match import ColorMatch
from psfr_core.restoration.paste_options import PasteOptions
from psfr_core.restoration.region_strengths import RegionStrengths
from psfr_core.restoration.restoration_models import RestorationModels, load_models
from psfr_core.restoration.restore import restore_image
from psfr_core.restoration.restore_options import Eyes, RestoreOptions


@pytest.fixture(autouse=True)
def load_arguments(models: RestorationModels, two_faces: list[Face], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replace the loaders by functions that return tiny networks and a detector of two faces.

    Return a dict with the arguments of the last calls.
    """
    models.detector.faces[:] = two_faces  # type: ignore[attr-defined]
    arguments: dict[str, Any] = {}

    def recorded(load: Callable[..., Any], loaded: Any) -> Callable[..., Any]:
        def record(*args: Any, **options: Any) -> Any:
            arguments.update(inspect.signature(load).bind(*args, **options).arguments)
            return loaded

        return record

    monkeypatch.setattr("psfr_core.cli.model_options.load_models", recorded(load_models, models))
    monkeypatch.setattr("psfr_core.cli.model_options.load_detector", recorded(load_detector, models.detector))
    return arguments


def write_random_image(path: Path, channels: int = 3, bit_depth: int = 8) -> torch.Tensor:
    pixels = torch.rand(channels, 120, 160)
    write_image(path, ImageFile(pixels, bit_depth))
    return read_image(path).pixels


def test_restores_files_folders_and_patterns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    before = {name: write_random_image(folder / name) for name in ("a.png", "b.png", "c.webp")}
    inputs = [str(folder / "a.png"), str(folder / "b*.png"), str(folder)]
    assert main(["restore", *inputs, "-o", str(tmp_path / "out"), "--compare"]) == 0
    for name, pixels in before.items():
        after = read_image(tmp_path / "out" / name).pixels
        changed = (after - pixels).abs().amax(0) > 0
        assert changed[35:45, 35:45].any()
        assert not changed[100:].any()
    assert Image.open(tmp_path / "out" / "a_compare.png").size[0] > 2 * 160
    assert "6 faces restored in 3 images" in capsys.readouterr().out


@pytest.mark.parametrize(("channels", "bit_depth"), [(1, 8), (2, 8), (4, 8), (1, 16), (3, 16), (4, 16)])
def test_depth_and_alpha_are_kept(tmp_path: Path, channels: int, bit_depth: int) -> None:
    before = write_random_image(tmp_path / "a.png", channels, bit_depth)
    assert main(["restore", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png")]) == 0
    after = read_image(tmp_path / "b.png")
    assert (after.bit_depth, after.pixels.shape) == (bit_depth, before.shape)
    assert torch.equal(after.pixels[:, 100:], before[:, 100:])
    if channels in (2, 4):
        assert torch.equal(after.pixels[-1], before[-1])


def test_orientation_is_applied_and_the_profile_kept(tmp_path: Path) -> None:
    profile = b"\0" * 16 + b"RGB " + b"\0" * 108
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate clockwise by 90 degrees
    pixels = Image.fromarray(np.random.default_rng(0).integers(0, 255, (160, 120, 3), dtype=np.uint8))
    pixels.save(tmp_path / "a.jpg", exif=exif, icc_profile=profile)
    assert main(["restore", str(tmp_path / "a.jpg"), "-o", str(tmp_path / "out")]) == 0
    with Image.open(tmp_path / "out" / "a.png") as after:
        assert after.size == (160, 120)
        assert after.getexif().get(0x0112, 1) == 1
        assert after.info["icc_profile"] == profile


def test_a_jpeg_changes_only_where_its_faces_are(tmp_path: Path) -> None:
    before = write_random_image(tmp_path / "a.jpg")
    assert main(["restore", str(tmp_path / "a.jpg"), "-o", str(tmp_path / "out")]) == 0
    after = read_image(tmp_path / "out" / "a.png").pixels
    assert torch.equal(after[:, 100:], before[:, 100:])
    assert not torch.equal(after, before)
    assert main(["restore", str(tmp_path / "a.jpg"), "-o", str(tmp_path / "out"), "--format", "jpg"]) == 0
    assert (tmp_path / "out" / "a.jpg").exists()


def test_one_bad_file_does_not_stop_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_random_image(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"not an image")
    assert main(["restore", str(tmp_path), "-o", str(tmp_path / "out")]) == 1
    assert (tmp_path / "out" / "a.png").exists()
    assert not (tmp_path / "out" / "b.png").exists()
    assert "b.png" in capsys.readouterr().err


def test_a_path_without_permission_does_not_stop_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "b.png"):
        write_random_image(tmp_path / name)
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "a.png":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    inputs = [str(tmp_path / name) for name in ("a.png", "b.png", "none.png")]
    assert main(["restore", *inputs, "-o", str(tmp_path / "out")]) == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]
    printed = capsys.readouterr()
    assert "a.png cannot be opened: Permission denied" in printed.err
    assert "none.png does not exist" in printed.err
    assert printed.out.endswith(f"failed: 2\n  {tmp_path}/none.png\n  {tmp_path}/a.png\n")


def test_the_traceback_of_an_unexpected_error_is_shown_only_on_demand(
    tmp_path: Path, models: RestorationModels, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_random_image(tmp_path / "a.png")

    def fail(*_: Any, **__: Any) -> None:
        raise TypeError("'NoneType' object is not iterable")

    monkeypatch.setattr("psfr_core.bulk.restore_files.read_image", fail)
    monkeypatch.setattr(logging.getLogger("psfr_core"), "handlers", [])
    arguments = ["restore", str(tmp_path / "a.png"), "-o", str(tmp_path / "out")]
    assert main(arguments) == 1
    printed = capsys.readouterr().err
    assert "a.png: unexpected TypeError: 'NoneType' object is not iterable (use --verbose for the traceback)" in printed
    assert "Traceback" not in printed
    monkeypatch.setattr(logging.getLogger("psfr_core"), "handlers", [])
    assert main([*arguments, "--verbose"]) == 1
    assert 'raise TypeError("' in capsys.readouterr().err


def test_a_second_run_does_only_what_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("in/a.png", "in/x/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_random_image(tmp_path / name)
    arguments = ["restore", str(tmp_path / "in"), "-o", str(tmp_path / "in" / "out"), "--recursive", "--compare"]
    assert main(arguments) == 0
    (tmp_path / "in/out/x/b_compare.png").unlink()
    before = (tmp_path / "in/out/a.png").stat().st_mtime_ns
    capsys.readouterr()
    assert main([*arguments, "--resume"]) == 0
    assert (tmp_path / "in/out/x/b_compare.png").exists()
    assert (tmp_path / "in/out/a.png").stat().st_mtime_ns == before
    printed = capsys.readouterr().out
    assert printed.startswith("2 faces restored in 1 image: ")
    assert f"skipped: 1\n  {tmp_path}/in/a.png: the result " in printed


def test_output_that_the_console_cannot_show_is_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_random_image(tmp_path / "a.png")
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="cp1252"))
    assert main(["restore", str(tmp_path / "a.png"), "-o", str(tmp_path / "фото")]) == 0
    sys.stdout.flush()
    assert shown.getvalue().decode().splitlines() == [
        f"2 faces restored in 1 image: {tmp_path}/\\u0444\\u043e\\u0442\\u043e"
    ]


def test_inputs_are_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = write_random_image(tmp_path / "a.png")
    assert main(["restore", str(tmp_path / "a.png"), "-o", str(tmp_path)]) == 2
    assert "is an input and must not be overwritten" in capsys.readouterr().err
    assert torch.equal(read_image(tmp_path / "a.png").pixels, before)


def test_the_comparison_is_before_and_after_and_overwrites_no_input(tmp_path: Path) -> None:
    before = write_random_image(tmp_path / "a.png")
    after_path, strip_path = tmp_path / "b.png", tmp_path / "b_compare.png"
    assert main(["restore", str(tmp_path / "a.png"), "-o", str(after_path), "--compare"]) == 0
    strip = read_image(strip_path).pixels
    assert torch.equal(strip[:, :, :160], before)
    assert torch.equal(strip[:, :, -160:], read_image(after_path).pixels)
    kept = strip_path.read_bytes()
    assert main(["restore", str(strip_path), "-o", str(after_path), "--compare"]) == 2
    assert strip_path.read_bytes() == kept


def test_strength_indices_and_regions_are_applied(tmp_path: Path) -> None:
    before = write_random_image(tmp_path / "a.png")

    def changed(*options: str) -> torch.Tensor:
        main(["restore", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png"), *options])
        return (read_image(tmp_path / "b.png").pixels - before).abs().amax(0) > 0

    assert not changed("--strength", "0").any()
    second = changed("--indices", "1", "--regions", "all")
    assert not second[:, :80].any()
    assert second[:, 100:140].any()
    assert changed("--regions", "all").sum() > changed("--regions", "eyes").sum()


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ("--strength 0.5", RestoreOptions(strength=0.5)),
        ("--color-match none", RestoreOptions(color_match=ColorMatch.NONE)),
        ("--color-match detail-only", RestoreOptions(color_match=ColorMatch.DETAIL_ONLY)),
        ("--eyes closed", RestoreOptions(eyes=Eyes.CLOSED)),
        ("--feather 0.3", RestoreOptions(paste=PasteOptions(feather=0.3))),
        ("--regions hair", RestoreOptions(paste=PasteOptions(regions=parse_regions("hair")))),
        ("--regions ALL --feather 0.3", RestoreOptions(paste=PasteOptions(feather=0.3, regions=None))),
        (
            "--region-strengths skin=0.3,hair=0",
            RestoreOptions(paste=PasteOptions(strengths=RegionStrengths(skin=0.3, hair=0))),
        ),
    ],
)
def test_the_result_equals_that_of_the_library(
    tmp_path: Path, models: RestorationModels, flags: str, options: RestoreOptions
) -> None:
    before = write_random_image(tmp_path / "a.png")

    def library_result(wanted: RestoreOptions) -> torch.Tensor:
        write_image(tmp_path / "c.png", ImageFile(restore_image(before, models, wanted).image))
        return read_image(tmp_path / "c.png").pixels

    assert main(["restore", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png"), *flags.split()]) == 0
    after = read_image(tmp_path / "b.png").pixels
    assert torch.equal(after, library_result(options))
    assert not torch.equal(after, library_result(RestoreOptions()))


def test_an_image_without_a_face_can_be_an_error(tmp_path: Path, models: RestorationModels) -> None:
    write_random_image(tmp_path / "a.png")
    models.detector.faces.clear()  # type: ignore[attr-defined]
    arguments = ["restore", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png")]
    assert main([*arguments, "--no-face", "error"]) == 1
    assert main(arguments) == 0


@pytest.mark.parametrize(("flags", "sizes"), [("", [1, 1]), ("--batch-size 2", [2])])
def test_faces_go_through_the_networks_together(
    tmp_path: Path, models: RestorationModels, flags: str, sizes: list[int]
) -> None:
    write_random_image(tmp_path / "a.png")
    seen: list[int] = []
    models.generator.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    assert main(["restore", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png"), *flags.split()]) == 0
    assert seen == sizes


# The first face has the score 0.9 and is larger. The second face has the score 0.8 and is nearer to the center.
@pytest.mark.parametrize(
    ("flags", "scores"),
    [
        ("", [0.9, 0.8]),
        ("--order small-first", [0.8, 0.9]),
        ("--order small-first --max-faces 1", [0.8]),
        ("--max-faces 1", [0.9]),
        ("--min-size 30", [0.9]),
        ("--selection largest", [0.9]),
        ("--selection center", [0.8]),
    ],
)
def test_faces_are_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: str, scores: list[float]) -> None:
    before = write_random_image(tmp_path / "a.png")
    arguments = [str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), *flags.split()]
    assert main(["detect", *arguments]) == 0
    found = json.loads((tmp_path / "out" / "a.json").read_text())
    assert [face["score"] for face in found["faces"]] == scores
    assert main(["restore", *arguments, "--regions", "all"]) == 0
    changed = (read_image(tmp_path / "out" / "a.png").pixels - before).abs().amax(0) > 0
    assert [bool(changed[:, :80].any()), bool(changed[:, 80:].any())] == [0.9 in scores, 0.8 in scores]
    faces = "1 face" if len(scores) == 1 else "2 faces"
    assert f"{faces} restored in 1 image: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ("", DetectionOptions()),
        (
            "--min-score 0.3 --min-eye-distance 9 --max-overlap 0.2 --max-side 900 --min-side 300 --tiles",
            DetectionOptions(0.3, 9.0, 0.2, 900, 300, tiles=True),
        ),
        ("--turned", DetectionOptions(turned=True)),
    ],
)
def test_the_detector_gets_its_options(
    tmp_path: Path, load_arguments: dict[str, Any], flags: str, options: DetectionOptions
) -> None:
    write_random_image(tmp_path / "a.png")
    for command, name in (("restore", "detection"), ("detect", "options")):
        assert main([command, str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), *flags.split()]) == 0
        assert load_arguments[name] == options


@pytest.mark.parametrize(
    ("flags", "arguments"),
    [
        ("", {}),
        ("--generator g --parser p --detector d", {"generator": "g", "parser": "p", "detector": "d"}),
        ("--models-folder . --models-folder ..", {"folders": [Path(), Path("..")]}),
        ("--device cuda:1 --dtype float16", {"device": "cuda:1", "dtype": torch.float16}),
        ("--compile", {"compile_networks": True}),
        ("--download", {"download": True}),
        ("--generator codeformer.pth --fidelity 0.7", {"generator": "codeformer.pth", "fidelity": 0.7}),
    ],
)
def test_the_requested_models_are_loaded(
    tmp_path: Path, load_arguments: dict[str, Any], flags: str, arguments: dict[str, Any]
) -> None:
    write_random_image(tmp_path / "a.png")
    assert main(["restore", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), *flags.split()]) == 0
    defaults = {"generator": "bundled", "parser": "parsenet-256", "detector": None, "folders": [], "device": None}
    defaults |= {"detection": DetectionOptions(), "dtype": None, "compile_networks": False, "download": False}
    defaults |= {"fidelity": None}
    assert load_arguments == defaults | arguments


def test_detect_loads_the_requested_detector(tmp_path: Path, load_arguments: dict[str, Any]) -> None:
    write_random_image(tmp_path / "a.png")
    flags = f"--detector d --models-folder {tmp_path} --device cpu --download"
    assert main(["detect", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), *flags.split()]) == 0
    expected = {"source": "d", "folders": [tmp_path], "device": torch.device("cpu"), "download": True}
    assert load_arguments == expected | {"options": DetectionOptions()}


def test_detect_does_not_overwrite_an_image_with_the_name_of_its_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_random_image(tmp_path / "x.png")
    (tmp_path / "x.png").rename(tmp_path / "x.json")
    before = (tmp_path / "x.json").read_bytes()
    assert main(["detect", str(tmp_path / "x.json"), "-o", str(tmp_path)]) == 2
    assert "x.json is an input and must not be overwritten" in capsys.readouterr().err
    assert (tmp_path / "x.json").read_bytes() == before


def test_detect_writes_json_and_an_image(tmp_path: Path, two_faces: list[Face]) -> None:
    write_random_image(tmp_path / "a.jpg")
    assert main(["detect", str(tmp_path / "a.jpg"), "-o", str(tmp_path / "out"), "--order", "score"]) == 0
    found = json.loads((tmp_path / "out" / "a.json").read_text())
    assert (found["width"], found["height"]) == (160, 120)
    assert [face["score"] for face in found["faces"]] == [0.9, 0.8]
    assert found["faces"][0]["box"]["left"] == pytest.approx(two_faces[0].box.left, abs=0.01)
    assert np.allclose(found["faces"][1]["landmarks"], two_faces[1].landmarks.numpy(), atol=0.01)
    assert Image.open(tmp_path / "out" / "a.png").size == (160, 120)


def test_the_report_has_a_line_for_each_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_random_image(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    report = tmp_path / "report.jsonl"
    arguments = ["restore", str(tmp_path / "*.png"), "-o", str(tmp_path / "out"), "--report", str(report)]
    assert main(arguments) == 1
    first, second = sorted(map(json.loads, report.read_text().splitlines()), key=lambda line: line["file"])
    assert (first["file"], first["target"]) == (str(tmp_path / "a.png"), str(tmp_path / "out" / "a.png"))
    assert (first["faces"], first["error"], second["faces"]) == (2, None, None)
    assert first["seconds"] > 0
    assert "b.png has none of the readable formats" in second["error"]
    assert main([*arguments, "--resume"]) == 1  # a.png is finished
    assert len(report.read_text().splitlines()) == 3
    assert main([*arguments[:-1], str(tmp_path / "a.png")]) == 2
    assert "is an input and must not be overwritten" in capsys.readouterr().err


def test_the_report_may_be_in_a_new_folder_but_not_be_a_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_random_image(tmp_path / "a.png")
    out = tmp_path / "out"
    arguments = ["restore", str(tmp_path / "a.png"), "-o", str(out), "--compare", "--report"]
    for name in ("a.png", "a_compare.png"):
        assert main([*arguments, str(out / name)]) == 2
        assert "is also the name of a result" in capsys.readouterr().err
    assert main([*arguments, str(out / "report.jsonl")]) == 0
    assert len((out / "report.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("indices", ["-2-", "-1,0"])
def test_indices_may_begin_with_a_minus(tmp_path: Path, indices: str) -> None:
    write_random_image(tmp_path / "a.png")
    report = tmp_path / "report.jsonl"
    arguments = ["restore", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), "--report", str(report)]
    assert main([*arguments, "--indices", indices]) == 0
    assert json.loads(report.read_text())["faces"] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["detect", "a.png", "-o", "s3://bucket/out"],
        ["convert", "psfrgan-256", "s3://bucket/w.safetensors"],
        ["degrade", "a.png", "-o", "out", "--hq", "gs://bucket/hq"],
    ],
)
def test_commands_for_files_on_disks_reject_urls(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_random_image(tmp_path / "a.png")
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "is a URL, but this command needs files on a disk" in capsys.readouterr().err
    assert main(["parse", "s3://bucket/in", "-o", "out"]) == 2
    assert "is a URL, but this command needs files on a disk" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("flags", [["--lossless"], ["--quality", "20"], ["--codec", "ffv1", "--one-video"]])
def test_flags_of_videos_are_refused_for_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    write_image(tmp_path / "a.png", ImageFile(torch.rand(3, 32, 32)))
    assert main(["restore", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), *flags]) == 2
    assert "apply only to videos, but images are written" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
