"""Fixtures of the video tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from psfr_core.faces.face import Face
from psfr_core.restoration.restoration_models import RestorationModels


@pytest.fixture(scope="session")
def clips(load_module: Callable[[str, Path], ModuleType]) -> ModuleType:
    """Return tests/video/clips.py, which writes and reads small videos; skip the test without PyAV."""
    pytest.importorskip("av")
    return load_module("clips", Path(__file__).with_name("clips.py"))


@pytest.fixture
def moving(models: RestorationModels, two_faces: list[Face]) -> RestorationModels:
    """Return models whose detector finds two faces that move by a pixel per image."""

    class MovingFaces:
        def detect(self, images: Any, *_: Any, **__: Any) -> list[list[Face]]:
            # Rounded, because the sum of many numbers depends on where they lie in memory.
            shifts = [round(8 * float(image.double().mean()), 2) for image in images]
            return [[replace(face, landmarks=face.landmarks + shift) for face in two_faces] for shift in shifts]

    return replace(models, detector=MovingFaces())


@pytest.fixture
def source(clips: ModuleType, tmp_path: Path) -> Path:
    """Return a clip of 16 frames at a variable frame rate, with reordered frames and sound."""
    return clips.write_clip(
        tmp_path / "a.mp4",
        clips.noisy_frames(len(clips.TIMES)),
        codec="libx264",
        timestamps=[1000 * time for time in clips.TIMES],
        time_base=Fraction(1, 24000),
        options={"qp": "0", "g": "6"},
        sound="aac",
    )
