import re

import pytest
import torch

from psfr_core.errors import InputError
from psfr_core.faces.face import Face
from psfr_core.images.box import Box
from psfr_core.visualize import difference_image, draw_faces, side_by_side


def random_image(height, width, channels=3):
    return torch.rand(channels, height, width, generator=torch.Generator().manual_seed(0))


def face(left, top, right, bottom):
    width, height = right - left, bottom - top
    fractions = torch.tensor([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    landmarks = fractions * torch.tensor([width, height]) + torch.tensor([left, top])
    return Face(Box(left, top, right, bottom), landmarks, 0.9)


def changed(before, after):
    return (before != after).any(dim=0)


def test_box_and_tag_are_drawn_and_other_pixels_are_kept():
    image = random_image(120, 150)
    before = image.clone()
    drawn = draw_faces(image, [face(40.0, 30.0, 110.0, 100.0)])
    difference = changed(image, drawn)
    above, box = difference[:30], difference[30:]
    rows, columns = box.any(dim=1).nonzero().flatten() + 30, box.any(dim=0).nonzero().flatten()
    assert (rows.min(), rows.max()) == (30, 99)
    assert (columns.min(), columns.max()) == (40, 109)
    # The tag is above the top left corner of the box.
    assert above[29, 40:50].all()
    assert not above[:10].any()
    assert not above[:, :40].any()
    assert not above[:, 60:].any()
    assert difference[30, 40:110].all()
    assert difference[99, 40:110].all()
    assert difference[30:100, 109].all()
    assert torch.equal(image, before)


def test_landmarks_are_drawn_at_their_positions():
    image = random_image(120, 150)
    found = face(40.0, 30.0, 110.0, 100.0)
    difference = changed(image, draw_faces(image, [found]))
    for x, y in found.landmarks.round().int().tolist():
        assert difference[y, x]
    assert not difference[90, 75]


def test_faces_have_distinct_indices_and_colors():
    image = torch.zeros(3, 100, 200)
    first, second = face(10.0, 10.0, 80.0, 80.0), face(110.0, 10.0, 180.0, 80.0)
    drawn = draw_faces(image, [first, second])
    assert (drawn[:, 79, 40] - drawn[:, 79, 140]).abs().max() > 0.3
    digits = [drawn[:, 11:24, left + 1 : left + 10].amax(dim=0) < 0.5 for left in (10, 110)]
    assert all(0.05 < digit.float().mean() < 0.5 for digit in digits)
    assert not torch.equal(*digits)


def test_values_out_of_range_are_kept_where_nothing_is_drawn():
    image = random_image(60, 60) * 4 - 2
    drawn = draw_faces(image, [face(20.0, 20.0, 50.0, 50.0)])
    assert torch.equal(drawn[:, :20, 40:], image[:, :20, 40:])
    assert torch.equal(draw_faces(image, []), image)


@pytest.mark.parametrize("box", [(-20.0, -30.0, 30.0, 25.0), (40.0, 40.0, 90.0, 90.0), (100.0, 5.0, 120.0, 25.0)])
def test_faces_across_the_image_border_are_clipped(box):
    image = random_image(60, 60)
    drawn = draw_faces(image, [face(*box)])
    assert drawn.shape == image.shape
    assert bool(changed(image, drawn).any()) == (box[0] < 60)


def test_images_side_by_side_have_the_same_height():
    small, large = torch.full((3, 50, 30), 0.25), random_image(100, 80)
    row = side_by_side([small, large])
    assert row.shape == (3, 100, 60 + 2 + 80)
    assert torch.allclose(row[:, :, :60], torch.tensor(0.25), atol=1e-5)
    assert torch.equal(row[:, :, 60:62], torch.ones(3, 100, 2))
    assert torch.equal(row[:, :, 62:], large)
    assert torch.equal(side_by_side([large]), large)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: draw_faces(torch.zeros(4, 8, 8), []),
            InputError,
            "image must have the shape (3, H, W), got (4, 8, 8)",
        ),
        (lambda: side_by_side([]), InputError, "At least one image is needed"),
        (lambda: side_by_side([torch.zeros(1, 8, 8)]), InputError, "image 0 must have the shape (3, H, W)"),
    ],
)
def test_invalid_arguments_raise(call, error, words):
    with pytest.raises(error, match=re.escape(words)):
        call()


def test_difference_image_is_the_scaled_absolute_difference() -> None:
    images = torch.tensor([0.5, 0.6, 0.1]).view(1, 3, 1, 1)
    references = torch.tensor([0.5, 0.5, 0.9]).view(1, 3, 1, 1)
    difference = difference_image(images, references, gain=2)
    assert difference.flatten().tolist() == pytest.approx([0.0, 0.2, 1.0])
    with pytest.raises(InputError, match="same shape"):
        difference_image(images, references.repeat(1, 1, 1, 2))
