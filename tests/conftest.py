"""Fixtures for all tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture(scope="session")
def golden() -> ModuleType:
    """Weights, inputs and outputs of the published network definitions: tests/networks/golden.py."""
    path = Path(__file__).parent / "networks" / "golden.py"
    spec = importlib.util.spec_from_file_location("golden", path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


@pytest.fixture(autouse=True)
def _one_result_for_all() -> None:
    torch.manual_seed(0)
