from __future__ import annotations

import pytest
import torch

from psfr_core.errors import InputError
from psfr_core.faces.align import align_faces
from psfr_core.faces.face import Face, check_faces
from psfr_core.faces.selection import SelectionOptions, select_faces
from psfr_core.images.box import Box, Size

POINTS = torch.tensor([[2.0, 2], [6, 2], [4, 4], [3, 6], [5, 6]])


def test_faces_scale_with_their_image() -> None:
    landmarks = torch.tensor([[0.0, 0.0], [9.5, 4.5], [3.0, 2.0], [1.0, 6.0], [5.0, 6.0]])
    face = Face(Box(1.0, 2.0, 9.0, 8.0), landmarks, 0.9).scaled(Size(20, 10), Size(60, 30))
    assert face.box == Box(3.0, 6.0, 27.0, 24.0)
    # The center of the top-left pixel moves to the middle of the nine pixels it becomes.
    assert face.landmarks[:2].tolist() == [[1.0, 1.0], [29.5, 14.5]]
    assert face.score == 0.9


def test_image_sizes_must_agree_up_to_rounding() -> None:
    face = Face(Box(0, 0, 8, 8), torch.rand(5, 2), 1.0)
    assert face.scaled(Size(1001, 667), Size(2000, 1336)).box.right == pytest.approx(8 * 2000 / 1001)
    with pytest.raises(InputError, match="image of 1000 x 500 pixels, but this one has 1000 x 520"):
        face.scaled(Size(1000, 500), Size(1000, 520))


@pytest.mark.parametrize(
    ("face", "words"),
    [
        (Face(Box(0, float("nan"), 8, 8), torch.rand(5, 2), 1.0), "Face 1 must have a finite box and score, got .*nan"),
        (Face(Box(0, 0, 8, 8), torch.rand(5, 2), float("inf")), "Face 1 must have a finite box and score, got .*inf"),
        (Face(Box(0, 0, 8, 8), torch.ones(5, 2, dtype=torch.int64), 1.0), "face 1 must be floating point .*int64"),
        (Face(Box(0, 0, 8, 8), torch.rand(10), 1.0), r"landmarks of face 1 must have the shape \(5, 2\), got \(10,\)"),
    ],
)
def test_faces_with_invalid_numbers_are_named(face: Face, words: str) -> None:
    right = Face(Box(0, 0, 8, 8), torch.rand(5, 2), 1.0)
    check_faces([right])
    with pytest.raises(InputError, match=words):
        check_faces([right, face])
    with pytest.raises(InputError, match=words):
        select_faces([right, face], Size(8, 8), SelectionOptions())
    with pytest.raises(InputError, match=words):
        align_faces(torch.rand(3, 8, 8), [Face(Box(0, 0, 8, 8), POINTS, 1.0), face], 32)
