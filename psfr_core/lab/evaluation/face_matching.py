"""Faces found, against faces expected."""

from __future__ import annotations

from collections.abc import Sequence

from ...faces.face import Face
from ..metrics.landmark_distance import landmark_distance
from .metric import Row

_SAME_FACE = 1.0  # eye distances: landmarks farther away belong to another face


def match_faces(found: Sequence[Face], expected: Sequence[Face]) -> Row:
    """Found faces against expected ones; the error is the mean distance of landmarks in eye distances of the expected."""
    rest = list(found)
    errors: list[float] = []
    for face in expected:
        if not rest:
            break
        error, nearest = min((landmark_distance(other.landmarks, face.landmarks), n) for n, other in enumerate(rest))
        if error < _SAME_FACE:
            rest.pop(nearest)
            errors.append(error)
    row: Row = {
        "found": len(found),
        "expected": len(expected),
        "missed": len(expected) - len(errors),
        "extra": len(rest),
    }
    return row | {"landmark_error": sum(errors) / len(errors) if errors else float("nan")}


def face_distance(found: Sequence[Face], expected: Sequence[Face]) -> float:
    """The landmark distance of the surest expected face from the nearest found one; not a number where either is missing."""
    if not expected:
        return float("nan")
    distances = [landmark_distance(face.landmarks, expected[0].landmarks) for face in found]
    nearest = min(distances, default=_SAME_FACE)
    return nearest if nearest < _SAME_FACE else float("nan")
