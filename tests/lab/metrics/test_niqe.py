import sys
from types import ModuleType

import pytest
import torch

from psfr_core.errors import MissingPackageError
from psfr_core.lab.metrics.niqe import load_niqe

CPU = torch.device("cpu")


def test_asks_pyiqa_for_niqe(monkeypatch):
    asked = []

    def create_metric(name, device):
        asked.append((name, device))
        return lambda images: images.mean(dim=(1, 2, 3))[:, None]

    stand_in = ModuleType("pyiqa")
    stand_in.create_metric = create_metric  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyiqa", stand_in)
    scores = load_niqe(CPU)(torch.tensor([0.25, 0.5]).view(2, 1, 1, 1).expand(2, 3, 8, 8))
    assert asked == [("niqe", CPU)]
    assert scores.tolist() == [0.25, 0.5]


def test_says_that_pyiqa_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    with pytest.raises(MissingPackageError, match="NIQE needs the package pyiqa, .*: pip install pyiqa$"):
        load_niqe(CPU)
