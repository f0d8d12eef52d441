from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from psfr_core.cli.main import main
from psfr_core.images.io import ImageFile, read_image, write_image
from psfr_core.lab.evaluation.protocol import EvaluationProtocol
from psfr_core.lab.metrics.image_features import Backbone, ImageFeatures
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def generator_file(tmp_path: Path) -> str:
    save_file(PsfrGenerator(GeneratorConfig((6, 4, 4), 4)).state_dict(), tmp_path / "generator.safetensors")
    return str(tmp_path / "generator.safetensors")


@pytest.fixture
def parser_file(tmp_path: Path) -> str:
    save_file(ParseNet(ParseNetConfig((4, 4), 1)).state_dict(), tmp_path / "parser.safetensors")
    return str(tmp_path / "parser.safetensors")


def summary(folder: Path) -> dict[str, float]:
    return json.loads((folder / "summary.json").read_text())["mean"]


def test_images_are_compared_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean = torch.full((3, 32, 32), 0.5)
    for folder, offset in (("results", 0.1), ("references", 0.0)):
        (tmp_path / folder).mkdir()
        for name in ("a.png", "b.png"):
            write_image(tmp_path / folder / name, ImageFile(clean + offset))
    arguments = ["evaluate", "images", str(tmp_path / "results"), str(tmp_path / "references"), "--out", str(tmp_path)]
    assert main(arguments) == 0
    # an error of 0.1 is 25 or 26 of 255 levels, which is 20.0 dB
    assert summary(tmp_path)["psnr"] == pytest.approx(20, abs=0.35)
    with (tmp_path / "images.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["a.png", "b.png"]
    assert "| mean of 2 |" in capsys.readouterr().out
    (tmp_path / "references" / "b.png").unlink()
    assert main(arguments) == 1
    assert "b.png: the image has no reference" in capsys.readouterr().err


def test_the_generator_is_measured_with_fixed_seeds(tmp_path: Path, generator_file: str, parser_file: str) -> None:
    arguments = ["evaluate", "generator", "--faces", str(DATA / "faces"), "--generator", generator_file]
    arguments += ["--parser", parser_file, "--device", "cpu", "--out"]
    assert main([*arguments, str(tmp_path / "one")]) == 0
    assert main([*arguments, str(tmp_path / "two")]) == 0
    assert summary(tmp_path / "one") == summary(tmp_path / "two")
    # an untrained network makes the faces worse
    assert summary(tmp_path / "one")["psnr_generator"] < summary(tmp_path / "one")["psnr_before"]


def test_the_degradation_is_selectable(tmp_path: Path, generator_file: str, parser_file: str) -> None:
    arguments = ["evaluate", "generator", "--faces", str(DATA / "faces"), "--generator", generator_file]
    arguments += ["--parser", parser_file, "--device", "cpu"]
    assert main([*arguments, "--out", str(tmp_path / "paper")]) == 0
    assert main([*arguments, "--degradation", "harder", "--out", str(tmp_path / "harder")]) == 0
    assert summary(tmp_path / "harder")["psnr_before"] < summary(tmp_path / "paper")["psnr_before"] - 1


def test_the_size_is_selectable(tmp_path: Path, generator_file: str, parser_file: str) -> None:
    arguments = ["evaluate", "generator", "--faces", str(DATA / "faces"), "--generator", generator_file, "--size", "48"]
    arguments += ["--parser", parser_file, "--device", "cpu", "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert read_image(tmp_path / "report" / "01_color_matched.jpg").pixels.shape == (3, 48, 48)


def test_lpips_needs_both_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "generator", "--faces", str(DATA / "faces"), "--features", "x", "--device", "cpu"]) == 2
    assert "needs both features and heads" in capsys.readouterr().err


def test_the_parser_is_measured_by_region(tmp_path: Path, parser_file: str) -> None:
    arguments = ["evaluate", "parser", "--faces", str(DATA / "faces"), "--labels", str(DATA / "labels")]
    assert main([*arguments, "--parser", parser_file, "--device", "cpu", "--out", str(tmp_path)]) == 0
    assert 0 <= summary(tmp_path)["mean_iou"] < 0.3
    assert {"left_eye", "eyes", "mean_iou_pairs_merged"} <= summary(tmp_path).keys()
    with (tmp_path / "images.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["female_11", "female_23", "male_58", "male_59"]
    content = json.loads((tmp_path / "summary.json").read_text())
    assert content["count"] == 4
    # equal, because all faces have the same size
    assert content["all_as_one"]["accuracy"] == pytest.approx(content["mean"]["accuracy"])
    assert (tmp_path / "summary.md").read_text().startswith("| all 4 as one |")


def test_faces_in_face_free_images_are_false_positives(tmp_path: Path) -> None:
    write_image(tmp_path / "plain.png", ImageFile(torch.full((3, 96, 96), 0.5)))
    images = [str(tmp_path / "plain.png"), str(DATA / "faces" / "male_58.jpg")]
    arguments = ["evaluate", "detector", *images, "--detector", "compact-face", "--face-free", "--device", "cpu"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    means = summary(tmp_path / "out")
    assert (means["found"], means["expected"], means["missed"], means["extra"]) == (0.5, 0, 0, 0.5)


def folder_of(folder: Path, values: dict[str, float], side: int = 32) -> str:
    folder.mkdir()
    for name, value in values.items():
        write_image(folder / name, ImageFile(torch.full((3, side, side), value)))
    return str(folder)


def test_inputs_are_measured_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = folder_of(tmp_path / "results", {"a.png": 0.4, "b.png": 0.45})
    references = folder_of(tmp_path / "references", {"a.png": 0.5, "b.png": 0.5, "c.png": 0.5})
    inputs = folder_of(tmp_path / "inputs", {"a.png": 0.2, "b.png": 0.2})
    arguments = ["evaluate", "images", results, references, "--inputs", inputs, "--device", "cpu"]
    assert main([*arguments, "--out", str(tmp_path / "out"), "--rank-by", "ssim"]) == 0
    printed = capsys.readouterr()
    assert "references without a result are left out: 1, such as c.png" in printed.err
    assert (tmp_path / "out/summary.md").read_text() == printed.out
    means = summary(tmp_path / "out")
    assert means["psnr"] - means["psnr_before"] == pytest.approx((20 + 26.02) / 2 - 10.46, abs=0.4)
    assert sorted(path.name for path in (tmp_path / "out/report").iterdir())[:2] == [
        "01_before.jpg",
        "01_reference.jpg",
    ]
    assert (tmp_path / "out/report.html").read_text().index("a.png") > 0


def test_too_large_images_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results, references = (folder_of(tmp_path / name, {"a.png": 0.4}) for name in ("results", "references"))
    arguments = ["evaluate", "images", results, references, "--device", "cpu", "--max-megapixels"]
    assert main([*arguments, "0.001"]) == 1  # the image has 1,024 pixels
    assert "1 of 1 images failed" in capsys.readouterr().err
    assert main([*arguments, "0.0011"]) == 0
    assert main([*arguments, "0"]) == 0


def test_an_invalid_image_fails_the_evaluation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = folder_of(tmp_path / "results", {"a.png": 0.4, "b.png": 0.4, "c.png": 0.4})
    references = folder_of(tmp_path / "references", {"a.png": 0.5, "b.png": 0.5})
    write_image(tmp_path / "references" / "c.png", ImageFile(torch.zeros(3, 32, 40)))
    (tmp_path / "results" / "b.png").write_bytes(b"not an image")
    assert main(["evaluate", "images", results, references, "--device", "cpu", "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "b.png has none of the readable formats" in printed.err
    assert "c.png has 32 x 32 pixels, but its reference" in printed.err
    assert "2 of 3 images failed" in printed.err
    assert not (tmp_path / "out").exists()


def test_invalid_label_files_are_all_named(
    tmp_path: Path, parser_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(DATA / "labels", tmp_path / "labels")
    Image.new("L", (64, 64), 200).save(tmp_path / "labels" / "female_11.png")
    (tmp_path / "labels" / "male_58.png").unlink()
    arguments = ["evaluate", "parser", "--faces", str(DATA / "faces"), "--labels", str(tmp_path / "labels")]
    assert main([*arguments, "--parser", parser_file, "--device", "cpu"]) == 1
    printed = capsys.readouterr()
    assert "labels/female_11.png is not a label image: labels must be from 0 to 18, found 200 to 200" in printed.err
    assert "labels/male_58.png does not exist" in printed.err
    assert "2 of 4 images failed" in printed.err
    assert printed.out == ""


def test_invalid_images_fail_the_evaluation_of_a_detector_after_all_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / "a.png", ImageFile(torch.full((3, 96, 96), 0.5)))
    (tmp_path / "b.png").write_bytes(b"not an image")
    (tmp_path / "c.png").write_bytes(b"")
    arguments = ["evaluate", "detector", str(tmp_path), "--detector", "compact-face", "--face-free", "--device", "cpu"]
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert "b.png: " in printed.err
    assert "c.png is empty" in printed.err
    assert "2 of 3 images failed" in printed.err
    assert printed.out == ""


def test_a_report_does_not_overwrite_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = folder_of(tmp_path / "report", {"01_result.jpg": 0.4})
    references = folder_of(tmp_path / "references", {"01_result.jpg": 0.5})
    before = (tmp_path / "report/01_result.jpg").read_bytes()
    assert main(["evaluate", "images", results, references, "--device", "cpu", "--out", str(tmp_path)]) == 2
    assert "01_result.jpg is an input and must not be overwritten" in capsys.readouterr().err
    assert (tmp_path / "report/01_result.jpg").read_bytes() == before


@pytest.mark.parametrize(("blocked", "is_folder"), [("images.csv", True), ("report.html", True), ("report", False)])
def test_an_unwritable_report_is_an_error_before_measuring(
    tmp_path: Path, blocked: str, is_folder: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    results, references = (folder_of(tmp_path / name, {"a.png": 0.4}) for name in ("results", "references"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / blocked).mkdir() if is_folder else (tmp_path / "out" / blocked).touch()
    assert main(["evaluate", "images", results, references, "--device", "cpu", "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert f"out/{blocked} is a" in printed.err
    assert "measuring" not in printed.err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow such names")
def test_names_that_are_not_unicode_are_escaped_in_tables(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.png")
    results, references = (folder_of(tmp_path / folder, {name: 0.4, "b.png": 0.5}) for folder in ("one", "two"))
    assert main(["evaluate", "images", results, references, "--device", "cpu", "--out", str(tmp_path / "out")]) == 0
    assert "\\udcff.png,inf" in (tmp_path / "out" / "images.csv").read_text()


def test_verbose_is_accepted_before_and_after_the_subject(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = ["images", str(tmp_path), str(tmp_path)]
    for arguments in ([*images, "--verbose"], ["--verbose", *images]):
        assert main(["evaluate", *arguments]) == 1
        assert "contains no image" in capsys.readouterr().err


GENERATOR = ["evaluate", "generator", "--faces", str(DATA / "faces"), "--device", "cpu"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--protocol", "paper"], "measures LPIPS: give features and heads"),
        (["--protocol", "paper", "--seed", "1"], "leave out size, degradation and seed"),
        (["--protocol", "paper", "--degradation", "harder"], "leave out size, degradation and seed"),
        (["--protocol", "paper", "--size", "64"], "leave out size, degradation and seed"),
        (["--size", "0"], "size must be an integer from 1 to 8192, got 0"),
        (["--size", "100000000000000000000"], "size must be an integer from 1 to 8192"),
        (["--seed", str(2**64)], "seed must be from -2^63 to 2^64 - 1"),
        (["--out", __file__], "is a file, not a folder"),
        (["--rank-by", "niqe"], "ranked by niqe, which is not measured. Measured are psnr, ssim."),
        (["--detector", "compact-face"], "give landmarks as well"),
    ],
)
def test_invalid_options_are_reported(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*GENERATOR, *arguments]) == 2
    assert words in capsys.readouterr().err


def lpips_files(folder: Path) -> list[str]:
    """Save random weights of AlexNet and of its LPIPS heads, and return the flags that select them."""
    save_file(ImageFeatures(Backbone.ALEXNET, ["relu5"]).state_dict(), folder / "alexnet.safetensors")
    channels = (64, 192, 384, 256, 256)
    heads = {f"lin{layer}.model.1.weight": torch.ones(1, count, 1, 1) for layer, count in enumerate(channels)}
    save_file(heads, folder / "heads.safetensors")
    return ["--features", str(folder / "alexnet.safetensors"), "--heads", str(folder / "heads.safetensors")]


@pytest.mark.slow
def test_the_protocol_sets_faces_size_and_metrics(
    tmp_path: Path, generator_file: str, parser_file: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    arguments = [*GENERATOR, "--generator", generator_file, "--parser", parser_file, "--protocol", "paper"]
    arguments += [*lpips_files(tmp_path), "--landmarks", "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert "measures 2,800 faces, but only 4 were found" in capsys.readouterr().err
    monkeypatch.setattr("psfr_core.lab.evaluation.run.PAPER", EvaluationProtocol(3, 192, seed=5))
    assert main(arguments) == 0
    content = json.loads((tmp_path / "out/summary.json").read_text())
    assert content["count"] == 3
    assert content["settings"]["protocol"] == "paper"
    assert content["rank_by"] == "lpips"
    assert {"ms_ssim_before", "lpips_color_matched", "landmark_distance_generator"} <= content["mean"].keys()
    assert content["distances"].keys() == {
        f"frechet_alexnet_relu5_{stage}" for stage in ("before", "generator", "color_matched")
    }
    assert len(list((tmp_path / "out/report").iterdir())) == 9


def test_the_protocol_needs_a_folder_of_faces(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "generator", "--protocol", "paper"])
    assert stop.value.code == 2
    assert "required: --faces" in capsys.readouterr().err


def test_help_describes_the_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "generator", "--help"])
    printed = capsys.readouterr().out
    assert "2,800 faces of CelebA-HQ" in printed
    assert "PSNR 24.82" in printed


@pytest.mark.parametrize(
    ("option", "module", "words"),
    [
        (["--niqe"], "pyiqa", "NIQE needs the package pyiqa"),
        (["--ms-ssim"], "torchmetrics.functional.image", "MS-SSIM needs the package torchmetrics"),
    ],
)
def test_missing_packages_are_named_before_measuring(
    tmp_path: Path, option: list[str], module: str, words: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    results, references = (
        folder_of(tmp_path / name, {"a.png": 0.4, "b.png": 0.5}, side=176) for name in ("one", "two")
    )
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["evaluate", "images", results, references, "--device", "cpu", *option]) == 1
    assert capsys.readouterr().err.count(words) == 1


@pytest.mark.slow
def test_the_automatic_strength_is_measured_at_every_level(
    tmp_path: Path, generator_file: str, parser_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = folder_of(tmp_path / "faces", {"a.png": 0.3, "b.png": 0.6}, side=64)
    models = ["--generator", generator_file, "--parser", parser_file, *lpips_files(tmp_path)]
    assert main(["evaluate", "strength", "--faces", faces, *models, "--out", str(tmp_path / "out")]) == 0
    table = capsys.readouterr().out
    assert table.startswith("| mean of 2 | input | full | automatic | strength | correlation | removed_noise |\n")
    lines = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in table.splitlines()[2:]}
    assert float(lines["none"][0]) == 0  # LPIPS of the clean face
    assert {"JPEG 50", "reduced to 0.5", "blur 2 px", "noise 0.05", "paper"} < lines.keys()
    with (tmp_path / "out" / "images.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(lines)
    for row in rows:
        automatic = float(row["automatic"])
        if float(row["strength"]) in (0, 1):
            assert automatic == pytest.approx(float(row["full" if float(row["strength"]) else "input"]), abs=1e-5)


@pytest.mark.slow
def test_a_video_is_compared_with_single_frames(
    tmp_path: Path,
    generator_file: str,
    parser_file: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("av")
    monkeypatch.setattr("psfr_core.lab.evaluation.face_clips.CLIP_FRAMES", 6)
    faces = tmp_path / "faces"
    faces.mkdir()
    shutil.copy(DATA / "faces" / "male_58.jpg", faces)
    models = ["--generator", generator_file, *lpips_files(tmp_path), "--device", "cpu"]
    assert main(["evaluate", "video", "--faces", str(faces), *models, "--out", str(tmp_path / "out")]) == 0
    table = capsys.readouterr().out
    assert table.startswith("| mean of 1 | temporal_error | lpips | psnr | change_error |\n")
    lines = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in table.splitlines()[2:]}
    assert list(lines) == ["degraded", "frame by frame", "one video"]
    assert lines["one video"] != lines["frame by frame"] != lines["degraded"]
    clips = sorted(path.name for path in (tmp_path / "out" / "clips" / "male_58").iterdir())
    assert clips == ["degraded.mp4", "frame_by_frame.mkv", "one_video.mkv", "truth.mp4"]


def test_restorers_are_compared_on_the_same_faces(
    tmp_path: Path, generator_file: str, parser_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = tmp_path / "faces"
    faces.mkdir()
    shutil.copy(DATA / "faces" / "male_58.jpg", faces)
    other = tmp_path / "other.safetensors"
    save_file(PsfrGenerator(GeneratorConfig((6, 4), 4)).state_dict(), other)
    arguments = ["--faces", str(faces), "--parser", parser_file, "--device", "cpu", "--out"]
    assert main(["evaluate", "restorers", generator_file, str(other), *arguments, str(tmp_path / "both")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[2:]] == ["before", "generator", "other"]
    means = summary(tmp_path / "both")
    assert main(["evaluate", "generator", "--generator", generator_file, *arguments, str(tmp_path / "one")]) == 0
    single = summary(tmp_path / "one")  # at 64 px, the size of the larger restorer
    assert means["psnr_before"] == single["psnr_before"]
    assert means["psnr_generator"] == pytest.approx(single["psnr_color_matched"], abs=1e-4)
    assert means["psnr_other"] != means["psnr_generator"]
    shown = sorted(path.name for path in (tmp_path / "both" / "report").iterdir())
    assert shown == ["01_before.jpg", "01_generator.jpg", "01_other.jpg", "01_reference.jpg"]


def test_compared_restorers_must_have_different_names(
    tmp_path: Path, generator_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "restorers", generator_file, generator_file, "--faces", str(tmp_path)]
    assert main(arguments) == 2
    printed = capsys.readouterr().err
    assert "must differ from each other and from before, reference, got generator, generator" in printed
