from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from psfr_core.cli.main import main
from psfr_core.metrics.image_features import Backbone, ImageFeatures
from psfr_core.training.ablations import Ablation

DATA = Path(__file__).parents[1] / "data"
FACES, LABELS = str(DATA / "faces"), str(DATA / "labels")


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    torch.manual_seed(0)
    save_file(ImageFeatures(Backbone.ALEXNET, ["relu5"]).state_dict(), tmp_path / "alexnet.safetensors")
    channels = (64, 192, 384, 256, 256)
    heads = {f"lin{layer}.model.1.weight": torch.ones(1, count, 1, 1) for layer, count in enumerate(channels)}
    save_file(heads, tmp_path / "heads.safetensors")
    alexnet, heads_file = str(tmp_path / "alexnet.safetensors"), str(tmp_path / "heads.safetensors")
    return [
        "ablate", "--out", str(tmp_path / "out"), "--faces", FACES, "--labels", LABELS,
        "--test-faces", FACES, "--test-labels", LABELS, "--features", alexnet, "--lpips-features", alexnet,
        "--feature-layers", "conv1", "conv2", "conv3", "--heads", heads_file, "--channels", "6", "4", "--modulation-channels", "4",
        "--steps", "1", "--batch-size", "1", "--warmup-steps", "1", "--mixed-precision", "none",
    ]  # fmt: skip


def test_each_network_is_trained_for_each_seed_and_measured(arguments: list[str], tmp_path: Path) -> None:
    assert main([*arguments, "--seeds", "0", "3"]) == 0
    with (tmp_path / "out" / "ablations.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = [ablation.value for ablation in Ablation]
    assert [(row["network"], row["seed"]) for row in rows] == [
        ("degraded", "0"), *((name, seed) for seed in "03" for name in names)
    ]  # fmt: skip
    full = [float(row["psnr"]) for row in rows if row["network"] == "full"]
    table = (tmp_path / "out" / "ablations.md").read_text().splitlines()
    assert len(table) == 2 + 1 + len(names)
    cell = next(line for line in table if line.startswith("| full |")).split("|")[2].strip()
    assert cell == f"{sum(full) / 2:.3f} ± {abs(full[0] - full[1]) / 2:.3f}"


def test_networks_of_other_faces_are_not_taken_for_these(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--seeds", "0"]) == 0
    shutil.copytree(FACES, tmp_path / "faces")
    assert main([*arguments, "--seeds", "0", "--faces", str(tmp_path / "faces")]) == 1
    assert "was begun with other settings: faces was" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--adversarial", "--feature-matching", "--discriminator-learning-rate", "--lpips"])
def test_there_is_no_discriminator_nor_lpips_to_ask_for(
    arguments: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*arguments, option, "1"])
    assert stop.value.code == 2
    assert f"unrecognized arguments: {option}" in capsys.readouterr().err


def test_losses_and_devices_that_cannot_be_are_named_before_faces_are_read(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = [*arguments, "--faces", "nowhere", "--test-faces", "nowhere"]
    assert main([*nowhere, "--device", "nonsense"]) == 2
    assert "The device nonsense cannot be used here" in capsys.readouterr().err
    assert main([*nowhere, "--feature-layers", "conv1", "conv2"]) == 2
    assert "got 2, conv1, conv2" in capsys.readouterr().err
