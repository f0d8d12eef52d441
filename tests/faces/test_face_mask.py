"""Test masks of faces against known areas and edges."""

from __future__ import annotations

import math

import pytest
import torch

from psfr_core.errors import InputError, OptionError
from psfr_core.faces.face import Face
from psfr_core.faces.face_mask import MaskShape, face_mask, faces_mask, scaled_box
from psfr_core.images.box import Box, PixelBox, Size

SIZE = Size(60, 50)


def face(left: float, top: float, right: float, bottom: float) -> Face:
    return Face(Box(left, top, right, bottom), torch.zeros(5, 2), 0.9)


def test_a_box_covers_its_pixels_and_parts_of_those_at_its_edges() -> None:
    mask = faces_mask([face(10.25, 20, 30, 40.5)], SIZE, MaskShape.BOX)
    assert mask.shape == (50, 60)
    assert mask.dtype == torch.float32
    assert mask[25, 9:12].tolist() == [0, 0.75, 1]
    assert mask[39:42, 20].tolist() == [1, 0.5, 0]
    assert float(mask.sum()) == pytest.approx(19.75 * 20.5)


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_an_ellipse_touches_the_sides_of_the_box(scale: float) -> None:
    mask = faces_mask([face(20, 10, 40, 38)], SIZE, MaskShape.ELLIPSE, scale)
    assert float(mask.sum()) == pytest.approx(math.pi * 10 * 14 * scale**2, rel=0.01)
    assert torch.equal(mask, mask.clamp(0, 1))
    middle = mask[24]
    assert float(middle.sum()) == pytest.approx(20 * scale, abs=0.2)
    assert torch.allclose(middle[:30], middle[30:].flip(0), atol=1e-6)  # symmetric around x = 30
    corner = scaled_box(Box(20, 10, 40, 38), scale).to_pixels(SIZE)
    assert mask[corner.top, corner.left] == 0


def test_several_faces_share_a_mask_without_adding_up() -> None:
    one, other = face(5, 5, 25, 25), face(15, 5, 35, 25)
    both = faces_mask([one, other], SIZE, MaskShape.ELLIPSE)
    alone = [faces_mask([each], SIZE, MaskShape.ELLIPSE) for each in (one, other)]
    assert torch.equal(both, torch.maximum(*alone))
    assert float(both.max()) == 1


def test_faces_beyond_the_image_are_cut_off() -> None:
    mask = faces_mask([face(-10, -10, 10, 10), face(100, 100, 120, 120)], SIZE, MaskShape.BOX)
    assert float(mask.sum()) == 100
    assert not faces_mask([], SIZE, MaskShape.BOX).any()


@pytest.mark.parametrize("shape", MaskShape)
def test_a_part_equals_that_part_of_the_whole(shape: MaskShape) -> None:
    one, part = face(12.3, 8.8, 33.1, 36.9), PixelBox(5, 20, 40, 45)
    assert torch.allclose(face_mask(one, part, shape, 1.2), part.cut(faces_mask([one], SIZE, shape, 1.2)), atol=1e-6)


def test_boxes_are_scaled_around_their_centers() -> None:
    assert scaled_box(Box(10, 20, 30, 60), 1.5) == Box(5, 10, 35, 70)


@pytest.mark.parametrize("scale", [0, -1, math.nan, math.inf])
def test_other_scales_are_refused(scale: float) -> None:
    with pytest.raises(OptionError, match="scale must be a number above 0"):
        faces_mask([face(1, 1, 9, 9)], SIZE, MaskShape.BOX, scale)


def test_faces_without_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="finite box"):
        faces_mask([face(math.nan, 1, 9, 9)], SIZE, MaskShape.BOX)
