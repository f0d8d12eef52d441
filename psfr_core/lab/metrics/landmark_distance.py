"""Measure the distance between the landmarks of faces."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ...checks import check_shape
from ...faces.face import Face, FaceDetector
from .metric import Measure, Metric

SAME_FACE_DISTANCE = 1.0  # in eye distances; landmarks at this distance or farther belong to another face
_MIN_EYE_DISTANCE_PX = 1.0  # avoids division by zero if the eyes coincide


def landmark_distance(landmarks: Tensor, expected: Tensor) -> float:
    """Return the mean distance of ``landmarks`` (5, 2) from ``expected`` (5, 2), divided by the eye distance of ``expected``.

    Both are in pixels of the same image, and the first two landmarks are the eyes. An eye distance below 1 px counts as 1 px.
    Lower is better. Raises InputError for other shapes.
    """
    check_shape(landmarks, "5 2", "landmarks")
    check_shape(expected, "5 2", "expected landmarks")
    eye_distance = float((expected[1] - expected[0]).norm())
    return float((landmarks - expected).norm(dim=1).mean()) / max(eye_distance, _MIN_EYE_DISTANCE_PX)


def face_distance(found: Sequence[Face], expected: Sequence[Face]) -> float:
    """Return the landmark distance between the first expected face and the nearest found face.

    Returns NaN if no face is expected or none is found nearer than ``SAME_FACE_DISTANCE``.
    """
    if not expected:
        return float("nan")
    distances = [landmark_distance(face.landmarks, expected[0].landmarks) for face in found]
    nearest = min(distances, default=SAME_FACE_DISTANCE)
    return nearest if nearest < SAME_FACE_DISTANCE else float("nan")


def landmark_metric(detector: FaceDetector) -> Metric:
    """Return a metric: the distance between the landmarks that ``detector`` finds in an image and in its reference.

    Only the first face that the detector returns for the reference is measured. The metric is NaN if the detector finds no
    face in the reference, or does not find the same face in the image.
    """

    def against(reference: Tensor) -> Measure:
        expected = detector.detect(reference)[0]
        return lambda image: face_distance(detector.detect(image)[0], expected)

    return Metric("landmark_distance", higher_is_better=False, against=against)
