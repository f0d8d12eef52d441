from __future__ import annotations

import pytest
import torch

from psfr_core.device import resolve_device
from psfr_core.errors import OptionError


def test_given_device_is_used() -> None:
    assert resolve_device("cpu") == torch.device("cpu")


def test_default_is_the_best_available_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device(None) == torch.device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device(None) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device(None) == torch.device("cuda")


def test_unusable_device_raises_with_usable_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(OptionError, match=r"The device cuda:99 cannot be used here \(.+\)\. Use cpu\."):
        resolve_device("cuda:99")
