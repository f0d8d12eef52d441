from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from psfr_core.cli.main import main
from psfr_core.lab.metrics.image_features import Backbone, ImageFeatures
from psfr_core.lab.training.ablations import Ablation
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig

DATA = Path(__file__).parents[1] / "data"
FACES, LABELS = str(DATA / "faces"), str(DATA / "labels")


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    torch.manual_seed(0)
    save_file(ImageFeatures(Backbone.ALEXNET, ["relu5"]).state_dict(), tmp_path / "alexnet.safetensors")
    channels = (64, 192, 384, 256, 256)
    heads = {f"lin{layer}.model.1.weight": torch.ones(1, count, 1, 1) for layer, count in enumerate(channels)}
    save_file(heads, tmp_path / "heads.safetensors")
    save_file(ParseNet(ParseNetConfig((4,), 0)).state_dict(), tmp_path / "parser.safetensors")
    alexnet = str(tmp_path / "alexnet.safetensors")
    values = [
        *(f"full.data.{name}=[{FACES}]" for name in ("faces", "val_faces")),
        *(f"full.data.{name}=[{LABELS}]" for name in ("labels", "val_labels")),
        f"full.loss_networks={{features: {alexnet}, parser: {tmp_path / 'parser.safetensors'}}}",
        "full.losses.feature_layers=[conv1, conv2, conv3]",
        "full.network={channels: [6, 4], modulation_channels: 4}",
        "full.loop={steps: 1, batch_size: 1, warmup_steps: 1, mixed_precision: none}",
        f"lpips_features={alexnet}",
        f"lpips_heads={tmp_path / 'heads.safetensors'}",
    ]
    command = ["ablate", "--out", str(tmp_path / "out"), "--data", "unused", "--device", "cpu"]
    return [*command, *(word for value in values for word in ("--set", value))]


@pytest.mark.slow
def test_each_network_is_trained_with_each_seed_and_measured(arguments: list[str], tmp_path: Path) -> None:
    assert main([*arguments, "--set", "seeds=[0, 3]"]) == 0
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


def test_networks_trained_on_other_faces_are_rejected(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--set", "seeds=[0]"]) == 0
    shutil.copytree(FACES, tmp_path / "faces")
    assert main([*arguments, "--set", "seeds=[0]", "--set", f"full.data.faces=[{tmp_path / 'faces'}]"]) == 1
    assert "began with another recipe or other data: full.data.faces was" not in (err := capsys.readouterr().err)
    assert "data.faces was" in err


def test_invalid_losses_and_devices_are_reported_before_faces_are_read(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    without_faces = [*arguments, "--set", "full.data.faces=[nowhere]"]
    assert main([*without_faces, "--device", "nonsense"]) == 2
    assert "The device nonsense cannot be used here" in capsys.readouterr().err
    assert main([*without_faces, "--set", "full.losses.feature_layers=[conv1, conv2]"]) == 2
    assert "got 2: conv1, conv2" in capsys.readouterr().err
