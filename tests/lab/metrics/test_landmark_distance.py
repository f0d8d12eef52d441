import pytest
import torch

from psfr_core.errors import InputError
from psfr_core.lab.metrics.landmark_distance import landmark_distance

FACE = torch.tensor([[10.0, 10], [30, 10], [20, 20], [12, 30], [28, 30]])


def test_the_distance_of_a_shifted_face_is_its_shift():
    assert landmark_distance(FACE, FACE) == 0
    # a shift of (3, 4) px has a length of 5 px, a quarter of the 20 px between the eyes
    assert landmark_distance(FACE + torch.tensor([3.0, 4.0]), FACE) == pytest.approx(0.25)


def test_the_unit_is_the_eye_distance_of_the_expected_landmarks():
    one_moved = FACE.clone()
    one_moved[1, 0] += 20  # the eye distance of the found face doubles
    assert landmark_distance(one_moved, FACE) == pytest.approx(20 / 5 / 20)
    assert landmark_distance(2 * FACE, 2 * one_moved) == pytest.approx(40 / 5 / 80)


def test_needs_five_landmarks():
    with pytest.raises(InputError, match=r"landmarks must have the shape \(5, 2\), got \(4, 2\)"):
        landmark_distance(FACE[:4], FACE)
