from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from psfr_core.cli import detect, restore
from psfr_core.cli.main import main
from psfr_core.detection.face import Face
from psfr_core.imaging.io import ImageFile, read_image, write_image
from psfr_core.restoration.models import RestorationModels


@pytest.fixture(autouse=True)
def _planted(models: RestorationModels, two_faces: list[Face], monkeypatch: pytest.MonkeyPatch) -> None:
    models.detector.faces[:] = two_faces  # type: ignore[attr-defined]
    monkeypatch.setattr(restore, "take_models", lambda args: models)
    monkeypatch.setattr(detect, "take_detector", lambda args: models.detector)


def picture(path: Path, channels: int = 3, bit_depth: int = 8) -> torch.Tensor:
    pixels = torch.rand(channels, 120, 160)
    write_image(path, ImageFile(pixels, bit_depth))
    return read_image(path).pixels


def test_restores_files_folders_and_patterns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    before = {name: picture(folder / name) for name in ("a.png", "b.png", "c.webp")}
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
    before = picture(tmp_path / "a.png", channels, bit_depth)
    assert main(["restore", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png")]) == 0
    after = read_image(tmp_path / "b.png")
    assert (after.bit_depth, after.pixels.shape) == (bit_depth, before.shape)
    assert torch.equal(after.pixels[:, 100:], before[:, 100:])
    if channels in (2, 4):
        assert torch.equal(after.pixels[-1], before[-1])


def test_orientation_is_applied_and_the_profile_kept(tmp_path: Path) -> None:
    profile = b"\0" * 16 + b"RGB " + b"\0" * 108
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    pixels = Image.fromarray(np.random.default_rng(0).integers(0, 255, (160, 120, 3), dtype=np.uint8))
    pixels.save(tmp_path / "a.jpg", exif=exif, icc_profile=profile)
    assert main(["restore", str(tmp_path / "a.jpg"), "-o", str(tmp_path / "out")]) == 0
    with Image.open(tmp_path / "out" / "a.png") as after:
        assert after.size == (160, 120)
        assert after.getexif().get(0x0112, 1) == 1
        assert after.info["icc_profile"] == profile


def test_a_jpeg_changes_only_where_its_faces_are(tmp_path: Path) -> None:
    before = picture(tmp_path / "a.jpg")
    assert main(["restore", str(tmp_path / "a.jpg"), "-o", str(tmp_path / "out")]) == 0
    after = read_image(tmp_path / "out" / "a.png").pixels
    assert torch.equal(after[:, 100:], before[:, 100:])
    assert not torch.equal(after, before)
    assert main(["restore", str(tmp_path / "a.jpg"), "-o", str(tmp_path / "out"), "--format", "jpg"]) == 0
    assert (tmp_path / "out" / "a.jpg").exists()


def test_one_bad_file_does_not_stop_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"not a picture")
    assert main(["restore", str(tmp_path), "-o", str(tmp_path / "out")]) == 1
    assert (tmp_path / "out" / "a.png").exists()
    assert not (tmp_path / "out" / "b.png").exists()
    assert "b.png" in capsys.readouterr().err


def test_inputs_are_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = picture(tmp_path / "a.png")
    assert main(["restore", str(tmp_path / "a.png"), "-o", str(tmp_path)]) == 2
    assert "is an input and is not overwritten" in capsys.readouterr().err
    assert torch.equal(read_image(tmp_path / "a.png").pixels, before)


def test_the_comparison_is_before_and_after_and_overwrites_no_input(tmp_path: Path) -> None:
    before = picture(tmp_path / "a.png")
    after_path, strip_path = tmp_path / "b.png", tmp_path / "b_compare.png"
    assert main(["restore", str(tmp_path / "a.png"), "-o", str(after_path), "--compare"]) == 0
    strip = read_image(strip_path).pixels
    assert torch.equal(strip[:, :, :160], before)
    assert torch.equal(strip[:, :, -160:], read_image(after_path).pixels)
    kept = strip_path.read_bytes()
    assert main(["restore", str(strip_path), "-o", str(after_path), "--compare"]) == 2
    assert strip_path.read_bytes() == kept


def test_strength_indices_and_regions_are_heard(tmp_path: Path) -> None:
    before = picture(tmp_path / "a.png")

    def changed(*options: str) -> torch.Tensor:
        main(["restore", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png"), *options])
        return (read_image(tmp_path / "b.png").pixels - before).abs().amax(0) > 0

    assert not changed("--strength", "0").any()
    second = changed("--indices", "1", "--regions", "all")
    assert not second[:, :80].any()
    assert second[:, 100:140].any()
    assert changed("--regions", "all").sum() > changed("--regions", "eyes").sum()


def test_detect_writes_json_and_a_picture(tmp_path: Path, two_faces: list[Face]) -> None:
    picture(tmp_path / "a.jpg")
    assert main(["detect", str(tmp_path / "a.jpg"), "-o", str(tmp_path / "out"), "--order", "score"]) == 0
    found = json.loads((tmp_path / "out" / "a.json").read_text())
    assert (found["width"], found["height"]) == (160, 120)
    assert [face["score"] for face in found["faces"]] == [0.9, 0.8]
    assert found["faces"][0]["box"]["left"] == pytest.approx(two_faces[0].box.left, abs=0.01)
    assert np.allclose(found["faces"][1]["landmarks"], two_faces[1].landmarks.numpy(), atol=0.01)
    assert Image.open(tmp_path / "out" / "a.png").size == (160, 120)
