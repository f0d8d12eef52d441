import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torchmetrics.image import fid as torchmetrics_fid

from psfr_core.errors import CheckpointError, MissingPackageError
from psfr_core.lab.metrics.fid import load_inception

CPU = torch.device("cpu")


class BrightnessOfBytes(torch.nn.Module):
    def forward(self, images):
        assert images.dtype == torch.uint8
        return images.float().mean(dim=(2, 3))


class StandIn:
    """Replacement for torchmetrics' metric, whose weights have 90 MB."""

    def __init__(self, feature, feature_extractor_weights_path):
        if feature != 2048 or not feature_extractor_weights_path.endswith("good.pth"):
            raise RuntimeError("unexpected key")
        self.inception = BrightnessOfBytes()


@pytest.fixture
def with_torch_fidelity(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setattr(torchmetrics_fid, "FrechetInceptionDistance", StandIn)


def test_inception_sees_bytes(tmp_path, with_torch_fidelity):
    torch.save({"w": torch.zeros(1)}, tmp_path / "good.pth")
    pooled = load_inception(tmp_path / "good.pth", CPU)
    assert pooled._inception.use_antialias is False
    assert pooled.name == "fid"
    assert pooled(torch.tensor([0.0, 0.5, 1.2]).view(1, 3, 1, 1).expand(2, 3, 4, 4)).tolist() == [[0, 128, 255]] * 2


def test_missing_and_damaged_weights_are_reported(tmp_path, with_torch_fidelity, monkeypatch):
    with pytest.raises(CheckpointError, match="none.pth does not exist. Download them from https://github.com/toshas"):
        load_inception(tmp_path / "none.pth", CPU)
    torch.save({"w": torch.zeros(1)}, tmp_path / "bad.pth")
    with pytest.raises(
        CheckpointError, match="bad.pth does not contain the Inception weights of torch-fidelity: unexpected key"
    ):
        load_inception(tmp_path / "bad.pth", CPU)
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(MissingPackageError, match="FID needs the package torch-fidelity, .*pip install torch-fidelity"):
        load_inception(tmp_path / "bad.pth", CPU)


class RunsCode:
    def __reduce__(self):
        return (Path.touch, (Path("ran"),))


def test_code_in_the_weights_is_not_run(tmp_path, with_torch_fidelity, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"w": torch.zeros(1), "code": RunsCode()}, "good.pth")
    monkeypatch.setattr(torchmetrics_fid, "FrechetInceptionDistance", pytest.fail)
    with pytest.raises(CheckpointError, match="good.pth"):
        load_inception("good.pth", CPU)
    assert not Path("ran").exists()
