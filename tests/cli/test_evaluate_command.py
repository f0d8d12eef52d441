from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from psfr_core.cli.main import main
from psfr_core.detection.face import Face
from psfr_core.evaluation.faces import match_faces
from psfr_core.geometry.box import Box
from psfr_core.imaging.io import ImageFile, write_image
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
    # 0.1 is 25 or 26 of 255 levels: 20.0 dB
    assert summary(tmp_path)["psnr"] == pytest.approx(20, abs=0.35)
    with (tmp_path / "images.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["a.png", "b.png"]
    assert "| mean of 2 |" in capsys.readouterr().out
    (tmp_path / "references" / "b.png").unlink()
    assert main(arguments) == 1
    assert "b.png: it has no reference" in capsys.readouterr().err


def test_the_generator_is_measured_with_fixed_seeds(tmp_path: Path, generator_file: str, parser_file: str) -> None:
    arguments = ["evaluate", "generator", "--faces", str(DATA / "faces"), "--generator", generator_file]
    arguments += ["--parser", parser_file, "--device", "cpu", "--sheet", str(tmp_path / "sheet.png"), "--out"]
    assert main([*arguments, str(tmp_path / "one")]) == 0
    assert main([*arguments, str(tmp_path / "two")]) == 0
    assert summary(tmp_path / "one") == summary(tmp_path / "two")
    # a random network is worse than doing nothing
    assert summary(tmp_path / "one")["psnr_generator"] < summary(tmp_path / "one")["psnr_before"]
    assert (tmp_path / "sheet.png").exists()


def test_lpips_needs_both_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "generator", "--faces", str(DATA / "faces"), "--features", "x", "--device", "cpu"]) == 2
    assert "needs both --features and --heads" in capsys.readouterr().err


def test_the_parser_is_measured_by_region(tmp_path: Path, parser_file: str) -> None:
    arguments = ["evaluate", "parser", "--faces", str(DATA / "faces"), "--labels", str(DATA / "labels")]
    assert main([*arguments, "--parser", parser_file, "--device", "cpu", "--out", str(tmp_path)]) == 0
    assert 0 <= summary(tmp_path)["mean_iou"] < 0.3
    assert {"left_eye", "eyes", "mean_iou_pairs_merged"} <= summary(tmp_path).keys()


def face(x: float, shift: float = 0.0) -> Face:
    points = torch.tensor([[0.0, 0], [20, 0], [10, 10], [2, 20], [18, 20]]) + torch.tensor([x + shift, 0])
    return Face(Box(x, 0, x + 20, 20), points, 1.0)


def test_faces_are_matched_by_their_landmarks() -> None:
    row = match_faces([face(0, 1.0), face(300)], [face(0), face(100)])
    assert row == {"found": 2, "expected": 2, "missed": 1, "extra": 1, "landmark_error": pytest.approx(0.05)}
    assert math.isnan(match_faces([], [face(0)])["landmark_error"])
