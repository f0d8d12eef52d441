"""Match detected faces with expected faces."""

from __future__ import annotations

from collections.abc import Sequence

from ...faces.face import Face
from ..metrics.landmark_distance import SAME_FACE_DISTANCE, landmark_distance
from .stage import Row


def match_faces(found: Sequence[Face], expected: Sequence[Face]) -> Row:
    """Match each expected face with the nearest found face, and count found, expected, missed and extra faces.

    Each found face is matched at most once, and only if its landmark distance is less than ``SAME_FACE_DISTANCE``.
    ``landmark_error`` is the mean landmark distance of the matched faces, or NaN if no face is matched.
    """
    rest = list(found)
    errors: list[float] = []
    for face in expected:
        if not rest:
            break
        error, nearest = min((landmark_distance(other.landmarks, face.landmarks), n) for n, other in enumerate(rest))
        if error < SAME_FACE_DISTANCE:
            rest.pop(nearest)
            errors.append(error)
    row: Row = {
        "found": len(found),
        "expected": len(expected),
        "missed": len(expected) - len(errors),
        "extra": len(rest),
    }
    return row | {"landmark_error": sum(errors) / len(errors) if errors else float("nan")}
