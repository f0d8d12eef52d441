"""How far the landmarks of a face moved."""

from __future__ import annotations

from torch import Tensor

from ...checks import check_shape

_MIN_EYE_DISTANCE_PX = 1.0  # eyes that fall together give no measure to divide by


def landmark_distance(landmarks: Tensor, expected: Tensor) -> float:
    """The mean distance of landmarks (5, 2) from the ``expected`` ones, in eye distances of these (lower is better).

    In pixels of one picture; the first two landmarks are the eyes.
    """
    check_shape(landmarks, "5 2", "landmarks")
    check_shape(expected, "5 2", "expected landmarks")
    eye_distance = float((expected[1] - expected[0]).norm())
    return float((landmarks - expected).norm(dim=1).mean()) / max(eye_distance, _MIN_EYE_DISTANCE_PX)
