from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from psfr_core.cli.main import main

DATA = Path(__file__).parents[1] / "data"
RECIPE = """
stages:
  small:
    kind: generator
    data: {faces: [$data/faces], labels: [$data/labels], val_faces: [$data/faces], val_labels: [$data/labels], val_count: 1}
    network: {channels: [4, 4], modulation_channels: 4}
    losses: {style: 0, adversarial: 0, feature_matching: 0}
    loop: {steps: 5, batch_size: 1, mixed_precision: none}
  large:
    like: small
    start_from: $out/small/generator.safetensors
    network: {channels: [4, 4, 4]}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "grown.yaml"
    path.write_text(RECIPE)
    return str(path)


def train(recipe: str, out: Path, *more: str) -> int:
    return main(["train", recipe, "--data", str(DATA), "--out", str(out), "--device", "cpu", *more])


def test_stages_are_trained_in_order(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(recipe, tmp_path, "--set", "loop.steps=1") == 0
    results = [str(tmp_path / name / "generator.safetensors") for name in ("small", "large")]
    assert capsys.readouterr().out.split() == results
    assert len((tmp_path / "large" / "log.csv").read_text().splitlines()) == 1 + 1


def test_a_single_stage_can_be_trained(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(recipe, tmp_path, "--set", "loop.steps=1", "--only", "small") == 0
    assert not (tmp_path / "large").exists()
    assert train(recipe, tmp_path, "--only", "middle") == 2
    assert "There is no stage middle. Choose one of small, large." in capsys.readouterr().err


def test_show_prints_the_recipe_without_training(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(recipe, tmp_path, "--show", "--set", "losses.pixel=3") == 0
    shown = capsys.readouterr().out
    assert shown.count("  pixel: 3") == 2
    assert f'start_from: "{tmp_path}/small/generator.safetensors"' in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grown.yaml"]


def test_a_small_copy_of_the_data_is_written(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    assert train(recipe, tmp_path / "runs", "--copy-data", str(copy), "--quality", "50") == 0
    assert capsys.readouterr().out == f"{copy}: 0.0 MB\n"
    assert Image.open(copy / "faces" / "male_58.webp").size == (64, 64)
    assert not (tmp_path / "runs").exists()
    assert main(["train", recipe, "--data", str(copy), "--out", str(tmp_path / "runs"), "--device", "cpu"]) == 0
    assert main(["train", recipe, "--copy-data", str(copy)]) == 2


def test_the_result_does_not_overwrite_the_initial_weights(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "small" / "generator.safetensors"
    mine.parent.mkdir()
    mine.write_bytes(b"weights")
    assert train(recipe, tmp_path, "--only", "small", "--set", f"start_from={mine}") == 2
    assert "generator.safetensors is an input and must not be overwritten" in capsys.readouterr().err
    assert mine.read_bytes() == b"weights"


def test_an_error_in_a_recipe_is_a_usage_error(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(recipe, tmp_path, "--set", "losses.stile=3") == 2
    assert "stage small: there is no field losses.stile" in capsys.readouterr().err
