"""Test the boxes of connected areas."""

from __future__ import annotations

import pytest
import torch

from psfr_core.errors import InputError
from psfr_core.faces.painted_areas import painted_areas
from psfr_core.images.box import PixelBox


def test_areas_are_separated_and_sorted() -> None:
    mask = torch.zeros(100, 120)
    mask[60:80, 5:30] = 1
    mask[10:20, 90:120] = 0.6
    mask[10:12, 3:9] = 1
    mask[40, 50] = 0.5  # not painted
    assert painted_areas(mask) == [PixelBox(3, 10, 9, 12), PixelBox(90, 10, 120, 20), PixelBox(5, 60, 30, 80)]


def test_diagonal_neighbors_and_long_strokes_are_one_area() -> None:
    mask = torch.zeros(64, 64)
    for row in range(0, 64, 4):  # paint a line that winds down the mask
        mask[row] = 1
        mask[row : row + 5, 63 if row % 8 else 0] = 1
    assert painted_areas(mask) == [PixelBox(0, 0, 64, 64)]
    assert painted_areas(torch.eye(64)) == [PixelBox(0, 0, 64, 64)]


@pytest.mark.parametrize("size", [(3000, 2000), (257, 300)])
def test_boxes_in_large_masks_are_exact(size: tuple[int, int]) -> None:
    height, width = size
    mask = torch.zeros(size)
    mask[17:33, 41:47] = 1
    mask[height - 13 :, width - 21 :] = 1
    assert painted_areas(mask) == [PixelBox(41, 17, 47, 33), PixelBox(width - 21, height - 13, width, height)]


def test_masks_without_areas_and_of_one_area() -> None:
    assert painted_areas(torch.zeros(9, 9)) == []
    assert painted_areas(torch.ones(5, 7, dtype=torch.bool)) == [PixelBox(0, 0, 7, 5)]
    with pytest.raises(InputError, match=r"mask must have the shape \(H, W\)"):
        painted_areas(torch.zeros(1, 9, 9))
