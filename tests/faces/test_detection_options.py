"""Test the limits of the detection options."""

from __future__ import annotations

import pytest

from psfr_core.errors import OptionError
from psfr_core.faces.detection_options import DetectionOptions


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_score": -0.1}, "min_score must be a number from 0 to 1 or None, got -0.1"),
        ({"min_eye_distance": float("inf")}, "min_eye_distance"),
        ({"max_overlap": 0.0}, "max_overlap must be a number from 0.01 to 1, got 0.0"),
        ({"max_side": 63}, "max_side must be an integer from 64 to 65536, got 63"),
        ({"min_side": 0}, "min_side"),
        ({"batch_size": 0}, "batch_size must be an integer from 1 to 4096, got 0"),
    ],
)
def test_options_are_checked(options: dict[str, float], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        DetectionOptions(**options)  # type: ignore[arg-type]
