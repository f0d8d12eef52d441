"""Fixtures of the video tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def clips(load_module: Callable[[str, Path], ModuleType]) -> ModuleType:
    """Return tests/video/clips.py, which writes and reads small videos; skip the test without PyAV."""
    pytest.importorskip("av")
    return load_module("clips", Path(__file__).with_name("clips.py"))
