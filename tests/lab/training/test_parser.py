"""Test the training of the face parsing network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from psfr_core.lab.training.loop import train
from psfr_core.lab.training.loop_config import LoopConfig
from psfr_core.lab.training.parser import ParserLossConfig, ParserTask, dice_loss
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig

from .recipes import read_rows, samples, small_faces, validation_of


def test_dice_weights_small_and_large_regions_equally() -> None:
    labels = torch.zeros(1, 10, 10, dtype=torch.int64)
    labels[0, 0, 0] = 4  # a single pixel
    right = 20.0 * torch.nn.functional.one_hot(labels, 19).movedim(-1, 1)
    missed = right.clone()
    missed[0, :, 0, 0] = 20.0 * torch.nn.functional.one_hot(torch.tensor(0), 19)
    assert float(dice_loss(right, labels)) == pytest.approx(0, abs=1e-4)
    # 100 pixels are predicted as background and 99 of them are background; the eye is not found
    assert float(dice_loss(missed, labels)) == pytest.approx(1 - (2 * 99 / 199 + 0) / 2, abs=1e-3)


def test_parser_training_runs_in_bf16(tmp_path: Path) -> None:
    faces, network = small_faces(), ParseNet(ParseNetConfig((8,), 1))
    task = ParserTask(network, samples(faces), ParserLossConfig(dice=0), validation_of(faces, 2))
    train(task, LoopConfig(steps=2, batch_size=2, log_every=1), tmp_path)
    last = read_rows(tmp_path / "log.csv")[-1]
    assert float(last["cross_entropy"]) > 0
    assert float(last["dice"]) == 0
    assert float(last["total"]) == pytest.approx(
        float(last["cross_entropy"]) + float(last["reconstruction_l1"]), rel=1e-3
    )
    assert 0 <= float(read_rows(tmp_path / "validation.csv")[-1]["accuracy"]) <= 1
