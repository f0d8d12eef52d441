"""Test the search in boxes and masks with a detector whose faces are planted, and with the bundled detector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from psfr_core.errors import InputError
from psfr_core.faces.box_search import PLACE_MIN_SCORE, find_faces_in_boxes, find_faces_in_mask
from psfr_core.faces.detection_options import DetectionOptions
from psfr_core.faces.detector import load_detector
from psfr_core.faces.face import Face, FaceDetector
from psfr_core.images.box import Box, PixelBox
from psfr_core.images.io import read_image
from psfr_core.progress import Progress

PORTRAIT = Path(__file__).parents[2] / "examples" / "images" / "portrait.jpg"
ROWS, COLUMNS = torch.meshgrid(torch.arange(300.0), torch.arange(400.0), indexing="ij")
IMAGE = torch.stack([COLUMNS, ROWS, torch.zeros(300, 400)])  # the values of each pixel are its x and y


def face(left: float, top: float, side: float, score: float = 0.9) -> Face:
    points = torch.tensor([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    return Face(Box(left, top, left + side, top + side), points * side + torch.tensor([left, top]), score)


def found_in(boxes: Sequence[Box], detector: FaceDetector, options: DetectionOptions | None = None) -> list[Box | None]:
    """Return the box of the face that is found for each of ``boxes``, or None."""
    return [one and one.box for one in find_faces_in_boxes(IMAGE, boxes, detector, options)]


class PlantedDetector:
    """Find the planted faces in a part of ``IMAGE``, but only faces as wide as a tenth of the longer side of the part."""

    def __init__(self, *faces: Face) -> None:
        self.faces = faces
        self.searched: list[PixelBox] = []

    def detect(
        self, images: Tensor, options: DetectionOptions | None = None, *, progress: Progress | None = None
    ) -> list[list[Face]]:
        assert options is not None
        (image,) = images
        x, y = map(int, image[:2, 0, 0])
        height, width = image.shape[1:]
        self.searched.append(PixelBox(x, y, x + width, y + height))
        found = [Face(moved(one.box, -x, -y), one.landmarks - torch.tensor([x, y]), one.score) for one in self.faces]
        return [
            [
                one
                for one in found
                if min(one.box) >= 0
                and one.box.right <= width
                and one.box.bottom <= height
                and one.box.width * 10 >= max(width, height)
                and one.score >= (options.min_score or 0)
            ]
        ]


def moved(box: Box, x: float, y: float) -> Box:
    return Box(box.left + x, box.top + y, box.right + x, box.bottom + y)


def test_each_box_gets_its_face_in_the_order_of_the_boxes() -> None:
    one, other = face(50, 60, 60), face(200, 100, 80)
    detector = PlantedDetector(one, other)
    boxes = [moved(other.box, 6, -9), Box(0, 0, 30, 30), Box(40, 40, 160, 250)]
    assert found_in(boxes, detector) == [other.box, None, one.box]
    # After the whole image, only the surroundings of the empty box are searched.
    assert detector.searched == [PixelBox(0, 0, 400, 300), PixelBox(0, 0, 60, 60)]
    assert found_in([], detector) == []


def test_a_small_face_is_found_in_the_enlarged_box() -> None:
    small = face(300.5, 200.25, 16)
    detector = PlantedDetector(small)
    (found,) = find_faces_in_boxes(IMAGE, [Box(298.0, 197.0, 318.0, 221.0)], detector)
    assert found is not None
    assert found.box == small.box
    assert torch.equal(found.landmarks, small.landmarks)
    assert detector.searched[1] == PixelBox(274, 173, 342, 245)  # the box with a margin of its longer side, 24 pixels


def test_the_face_that_overlaps_a_box_most_is_its_face() -> None:
    large, inside = face(100, 60, 100), face(130, 90, 50)
    detector = PlantedDetector(inside, large)
    assert found_in([large.box], detector) == [large.box]
    assert found_in([inside.box], detector) == [inside.box]
    assert found_in([Box(95, 50, 210, 260), inside.box], detector) == [large.box, inside.box]


def test_two_boxes_do_not_get_the_same_face() -> None:
    one = face(100, 60, 100)
    boxes = [moved(one.box, 20, 0), one.box, moved(one.box, 5, 0)]
    assert found_in(boxes, PlantedDetector(one)) == [None, one.box, None]


def test_faces_in_boxes_need_only_a_low_minimum_score() -> None:
    unlikely, unlikelier = face(50, 60, 60, PLACE_MIN_SCORE), face(200, 100, 80, PLACE_MIN_SCORE - 0.01)
    boxes = [unlikely.box, unlikelier.box]
    detector = PlantedDetector(unlikely, unlikelier)
    assert found_in(boxes, detector) == [unlikely.box, None]
    assert found_in(boxes, detector, DetectionOptions(min_score=0.1)) == boxes


@pytest.mark.parametrize("box", [Box(-90, -90, -10, -10), Box(900, 100, 990, 190)])
def test_a_box_beyond_the_image_has_no_face(box: Box) -> None:
    assert found_in([box], PlantedDetector(face(50, 60, 60))) == [None]


def test_painted_faces_are_found_largest_first() -> None:
    small, middle, large = face(300, 200, 16), face(50, 60, 60), face(200, 60, 90)
    mask = torch.zeros(300, 400)
    mask[203:213, 303:313] = 1
    mask[85:95, 75:85] = 1
    result = find_faces_in_mask(IMAGE, mask, PlantedDetector(small, middle, large))
    assert [one.box for one in result.faces] == [middle.box, small.box]
    assert result.empty_areas == []
    everywhere = find_faces_in_mask(IMAGE, torch.ones(300, 400), PlantedDetector(small, middle, large))
    assert [one.box for one in everywhere.faces] == [large.box, middle.box]


def test_painted_areas_without_a_face_are_returned_in_pixels_of_the_image() -> None:
    mask = torch.zeros(150, 200)  # half the size of the image
    mask[10:20, 150:170] = 1
    mask[42:48, 37:43] = 1
    result = find_faces_in_mask(IMAGE, mask, PlantedDetector(face(50, 60, 60)))
    assert [one.box.left for one in result.faces] == [50]
    assert result.empty_areas == [PixelBox(300, 20, 340, 40)]
    assert find_faces_in_mask(IMAGE, torch.zeros(300, 400), PlantedDetector(face(50, 60, 60))).faces == []


def test_painted_specks_are_not_searched() -> None:
    mask = torch.zeros(300, 400)
    mask[20, 20:380:20] = 1
    mask[100:120, 100:120] = 1
    detector = PlantedDetector()
    assert len(find_faces_in_mask(IMAGE, mask, detector).empty_areas) == 19
    assert detector.searched[1:] == [PixelBox(80, 80, 140, 140)]  # the first search covers the whole image


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return load_detector("compact-face")


def test_boxes_from_the_bundled_detector_return_its_faces(detector: FaceDetector) -> None:
    image = read_image(PORTRAIT).pixels
    photo = torch.full((3, 400, 700), 0.5)
    photo[:, 60:360, 40:340] = torch.nn.functional.interpolate(image[None], (300, 300), mode="area")[0]
    photo[:, 100:132, 600:632] = torch.nn.functional.interpolate(image[None], (32, 32), mode="area")[0]
    (one,) = detector.detect(photo[None], DetectionOptions(min_score=PLACE_MIN_SCORE, max_side=128))[0]
    # At a side of 128, the small face is too small to be found in the whole image.
    options = DetectionOptions(min_score=PLACE_MIN_SCORE, max_side=128)
    boxes = [Box(600, 100, 632, 132), one.box, Box(400, 200, 500, 300)]
    small, same, nothing = find_faces_in_boxes(photo, boxes, detector, options)
    assert same is not None
    assert same.box == one.box
    assert torch.equal(same.landmarks, one.landmarks)
    assert nothing is None
    assert small is not None
    expected = (one.landmarks + 0.5 - torch.tensor([40, 60])) * 32 / 300 - 0.5 + torch.tensor([600, 100])
    assert float((small.landmarks - expected).norm(dim=1).max()) < 0.2 * one.eye_distance * 32 / 300


def test_other_images_are_refused(detector: FaceDetector) -> None:
    with pytest.raises(InputError, match=r"image must have the shape \(3, H, W\)"):
        find_faces_in_boxes(IMAGE[None], [], detector)
    with pytest.raises(InputError, match=r"image must have the shape \(3, H, W\)"):
        find_faces_in_mask(IMAGE[None], torch.zeros(300, 400), detector)
