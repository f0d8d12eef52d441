"""Test level sizes, tiles, and the transform back to image pixels."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from psfr_core.faces.detection_options import DetectionOptions
from psfr_core.faces.proposals import Candidates
from psfr_core.faces.pyramid import PyramidLevel, ScaleRange, image_pyramid, level_images, search_sizes
from psfr_core.images.box import PixelBox, Size

SCALE_RANGE = ScaleRange()
OPTIONS = DetectionOptions(max_side=1280, min_side=512)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((512, 512), [(512, 512)]),
        ((64, 64), [(512, 512)]),
        ((100, 50), [(1024, 512), (512, 256)]),
        ((1, 1000), [(1, 1280), (1, 640), (1, 320)]),
        ((600, 600), [(600, 600), (300, 300)]),
        ((1280, 720), [(1280, 720), (640, 360), (320, 180)]),
        ((7680, 4320), [(1280, 720), (640, 360), (320, 180)]),
        ((1, 1), [(512, 512)]),
    ],
)
def test_search_sizes(size: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    assert search_sizes(Size(*size), OPTIONS, 512) == expected


def test_only_the_smallest_level_may_report_large_faces() -> None:
    assert [level.max_face for level in image_pyramid(Size(1000, 700), OPTIONS, SCALE_RANGE)] == [400, float("inf")]
    assert [level.max_face for level in image_pyramid(Size(400, 300), OPTIONS, SCALE_RANGE)] == [400, float("inf")]
    assert [level.max_face for level in image_pyramid(Size(512, 512), OPTIONS, SCALE_RANGE)] == [float("inf")]


@pytest.mark.parametrize("size", [(1281, 900), (5000, 300), (300, 5000), (3000, 2001)])
def test_tiles_cover_the_image_and_overlap(size: tuple[int, int]) -> None:
    tiles = image_pyramid(Size(*size), DetectionOptions(max_side=640, tiles=True), SCALE_RANGE)
    tiles = [level for level in tiles if level.part != (0, 0, *size)]
    covered = torch.zeros(size[1], size[0])
    for level in tiles:
        assert level.size == level.part.size == (min(640, size[0]), min(640, size[1]))
        level.part.cut(covered).add_(1)
    assert covered.min() >= 1
    for axis in (0, 1):
        starts = sorted({level.part[axis] for level in tiles})
        assert all(after - before <= 480 for before, after in pairwise(starts))


def test_small_images_have_no_tiles() -> None:
    options = DetectionOptions(tiles=True)
    assert len(image_pyramid(Size(1280, 900), options, SCALE_RANGE)) == len(
        image_pyramid(Size(1280, 900), DetectionOptions(), SCALE_RANGE)
    )


def test_levels_are_padded_to_multiples_of_32_with_their_mean() -> None:
    image = torch.rand(2, 3, 50, 70, generator=torch.Generator().manual_seed(0))
    (cut,) = level_images(image, [PyramidLevel(PixelBox(10, 5, 55, 50), Size(45, 45))])
    assert cut.shape == (2, 3, 64, 64)
    assert torch.equal(cut[:, :, :45, :45], image[:, :, 5:50, 10:55])
    mean = image[:, :, 5:50, 10:55].mean(dim=(2, 3))
    for padding in (cut[:, :, :, 45:], cut[:, :, 45:]):
        torch.testing.assert_close(padding, mean[:, :, None, None].expand_as(padding))


@pytest.mark.parametrize("width", [768, 512, 511])
def test_smaller_levels_show_the_same_positions(width: int) -> None:
    y, x = torch.meshgrid(torch.arange(256.0), torch.arange(float(width)), indexing="ij")
    image = torch.stack([x, y, x + y])[None]
    levels = image_pyramid(Size(width, 256), DetectionOptions(min_side=64), ScaleRange(coarsest_side=128))
    assert len(levels) >= 3
    for level, level_image in zip(levels, level_images(image, levels), strict=True):
        shown = level_image[0, :, : level.size.height, : level.size.width]
        x_scale, y_scale = width / level.size.width, 256 / level.size.height
        assert float(shown[0, 9, 20]) == pytest.approx(20.5 * x_scale - 0.5, abs=0.02)
        assert float(shown[1, 9, 20]) == pytest.approx(9.5 * y_scale - 0.5, abs=0.02)


def test_pixel_centers_map_to_pixel_centers() -> None:
    """Map points of a level that is twice as large as its part of the image to that part."""
    level = PyramidLevel(PixelBox(100, 40, 110, 60), Size(20, 40))
    points = torch.tensor([[[0.5, 0.5], [18.5, 38.5], [0, 0], [-0.5, -0.5], [19.5, 39.5]]])
    mapped = level.to_image(Candidates(torch.tensor([[0.0, 4, 20, 40]]), points, torch.ones(1)))
    assert mapped.boxes.tolist() == [[100, 42, 110, 60]]
    assert mapped.landmarks.tolist() == [[[100, 40], [109, 59], [99.75, 39.75], [99.5, 39.5], [109.5, 59.5]]]


@pytest.mark.parametrize(
    ("box", "is_reliable"),
    [
        ((10.0, 10, 60, 60), True),
        ((-20.0, 10, 60, 60), True),  # the left border of the level is that of the image
        ((10.0, 3, 60, 60), False),
        ((10.0, 4, 60, 96), True),
        ((10.0, 10, 60, 97), False),
        ((10.0, 10, 97, 60), False),
        ((-20.0, 20, 76, 60), False),  # too large
    ],
)
def test_boxes_cut_off_at_inner_borders_are_not_trusted(box: tuple[float, ...], is_reliable: bool) -> None:
    level = PyramidLevel(PixelBox(0, 50, 100, 150), Size(100, 100), max_face=95)
    one = Candidates(torch.tensor([box]), torch.zeros(1, 5, 2), torch.ones(1))
    assert level.is_reliable(one, Size(300, 300)).tolist() == [is_reliable]
