from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from psfr_core.cli import parse
from psfr_core.cli.main import main
from psfr_core.faces.face import Face
from psfr_core.images.io import ImageFile, read_image, write_image
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig
from psfr_core.parsing.parse_map import ParseMap
from psfr_core.restoration.restoration_models import RestorationModels


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    save_file(ParseNet(ParseNetConfig((4, 4), 1)).state_dict(), tmp_path / "parser.safetensors")
    write_image(tmp_path / "a.png", ImageFile(torch.rand(3, 120, 160)))
    return [
        "parse",
        str(tmp_path / "a.png"),
        "-o",
        str(tmp_path / "out"),
        "--parser",
        str(tmp_path / "parser.safetensors"),
    ]


def test_aligned_face_is_written_as_labels_and_colors(tmp_path: Path, arguments: list[str]) -> None:
    write_image(tmp_path / "a.png", ImageFile(torch.rand(3, 120, 120)))
    assert main([*arguments, "--aligned", "--device", "cpu"]) == 0
    parse_map = ParseMap.from_png(tmp_path / "out" / "a.png")
    assert parse_map.labels.shape == (1, 64, 64)
    colors = read_image(tmp_path / "out" / "a_color.png").pixels
    assert torch.equal(ParseMap.from_color(colors[None]).labels, parse_map.labels)


def test_aligned_faces_must_be_square(tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--aligned", "--device", "cpu"]) == 1
    assert "an aligned face must have the shape (3, S, S), got (3, 120, 160)" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_each_face_of_a_photo_is_written_as_labels_colors_and_crop(
    tmp_path: Path,
    arguments: list[str],
    models: RestorationModels,
    two_faces: list[Face],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models.detector.faces[:] = two_faces  # type: ignore[attr-defined]
    monkeypatch.setattr(parse, "detector_from_args", lambda *_: models.detector)
    assert main([*arguments, "--size", "96", "--device", "cpu"]) == 0
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["a_0.png", "a_0_color.png", "a_0_crop.png", "a_1.png", "a_1_color.png", "a_1_crop.png"]
    assert ParseMap.from_png(tmp_path / "out" / "a_1.png").labels.shape == (1, 96, 96)
    input_path = tmp_path / "out" / "a_1.png"
    before = input_path.read_bytes()
    assert main(["parse", str(input_path), *arguments[1:], "--device", "cpu"]) == 2
    assert input_path.read_bytes() == before


def test_resume_skips_parsed_images(
    tmp_path: Path,
    arguments: list[str],
    models: RestorationModels,
    two_faces: list[Face],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    models.detector.faces[:] = two_faces  # type: ignore[attr-defined]
    monkeypatch.setattr(parse, "detector_from_args", lambda *_: models.detector)
    assert main([*arguments, "--device", "cpu"]) == 0
    assert main([*arguments, "--device", "cpu", "--resume"]) == 0
    assert "0 faces parsed" in capsys.readouterr().out
    (tmp_path / "out" / "a_0.png").unlink()  # this file is written last
    assert main([*arguments, "--device", "cpu", "--resume"]) == 0
    assert "2 faces parsed" in capsys.readouterr().out
