"""Search for faces in given places: in the boxes of another detector, or in the painted areas of a mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor

from ..checks import check_float, check_shape, check_type
from ..images.box import Box, PixelBox, Size
from .detection_options import DetectionOptions
from .face import Face, FaceDetector
from .nms import iou
from .painted_areas import painted_areas
from .selection import SelectionOptions, select_faces

PLACE_MIN_SCORE = 0.3  # lower than for whole images, because a given place probably contains a face
_MARGIN = 1.0  # width of the searched surroundings on each side of a box, as a multiple of the box's longer side


@dataclass(frozen=True)
class FacesInMask:
    """The faces in the painted areas of a mask, largest first, and the areas without a face, both in pixels of the image."""

    faces: list[Face]
    empty_areas: list[PixelBox]


def find_faces_in_boxes(
    image: Tensor, boxes: Sequence[Box], detector: FaceDetector, options: DetectionOptions | None = None
) -> list[Face | None]:
    """Find one face for each of ``boxes``, in pixels of ``image`` (3, H, W), RGB in [0, 1]. A box without a face gets None.

    A box can only get a face whose center is inside the box. Pairs of a box and a face are assigned in the order of descending
    intersection over union, and no face is returned for two boxes. ``detector`` searches the whole image, and then the surroundings
    of each box that still has no face. If ``options`` is None, the minimum score is ``PLACE_MIN_SCORE``. Raises InputError for an
    image of another shape or dtype, and unless ``boxes`` is a sequence.
    """
    check_shape(image, "3 H W", "image")
    check_float(image, "image")
    check_type(boxes, Sequence, "boxes")
    options = options or DetectionOptions(min_score=PLACE_MIN_SCORE)
    if not boxes:
        return []
    found = _assigned(boxes, detector.detect(image[None], options)[0])
    for index, box in enumerate(boxes):
        if found[index] is None:
            taken = [face for face in found if face is not None]
            nearby = _search_around(image, box, detector, options)
            (found[index],) = _assigned([box], [face for face in nearby if not _is_known(face, taken, options)])
    return found


def find_faces_in_mask(
    image: Tensor, mask: Tensor, detector: FaceDetector, options: DetectionOptions | None = None
) -> FacesInMask:
    """Find the faces of ``image`` (3, H, W), RGB in [0, 1], in the painted areas of ``mask`` (H, W).

    ``select_faces`` decides whether a face is in a painted area. ``detector`` searches the whole image, and then the surroundings
    of each painted area that still has no face. If ``options`` is None, the minimum score is ``PLACE_MIN_SCORE``. Raises
    InputError for an image or a mask of another shape or dtype, and for a mask with another aspect ratio than the image.
    """
    check_shape(image, "3 H W", "image")
    check_float(image, "image")
    options = options or DetectionOptions(min_score=PLACE_MIN_SCORE)
    size, selection = Size.of(image), SelectionOptions()
    areas = [_in_image(area, Size.of(mask), size) for area in painted_areas(mask)]
    faces = select_faces(detector.detect(image[None], options)[0], size, selection, mask) if areas else []
    for area in _without_face(areas, faces):
        nearby = select_faces(_search_around(image, area, detector, options), size, selection, mask)
        faces += [face for face in nearby if not _is_known(face, faces, options)]
    empty = [area.to_pixels(size) for area in _without_face(areas, faces)]
    return FacesInMask(select_faces(faces, size, selection), empty)


def _assigned(boxes: Sequence[Box], faces: Sequence[Face]) -> list[Face | None]:
    """Return the face that belongs to each of ``boxes``, or None. Pairs with the largest overlap are assigned first."""
    overlaps = {
        (index, place): _overlap(box, face.box)
        for (index, box), (place, face) in product(enumerate(boxes), enumerate(faces))
        if box.contains(face.box.center)
    }
    assigned: list[Face | None] = [None] * len(boxes)
    used: set[int] = set()
    for index, place in sorted(overlaps, key=lambda pair: (-overlaps[pair], pair)):
        if assigned[index] is None and place not in used:
            assigned[index] = faces[place]
            used.add(place)
    return assigned


def _search_around(image: Tensor, box: Box, detector: FaceDetector, options: DetectionOptions) -> list[Face]:
    part = box.to_pixels(Size.of(image), round(_MARGIN * max(box.width, box.height)))
    if part.is_empty or min(part.size) < 2 * options.min_eye_distance:  # a face is wider than twice the eye distance
        return []
    return [_shifted(face, part) for face in detector.detect(part.cut(image)[None], options)[0]]


def _shifted(face: Face, part: PixelBox) -> Face:
    """Convert a face found in ``part`` to pixels of the whole image."""
    x, y = part.left, part.top
    box = Box(face.box.left + x, face.box.top + y, face.box.right + x, face.box.bottom + y)
    return replace(face, box=box, landmarks=face.landmarks + torch.tensor([x, y]))


def _is_known(face: Face, known: Sequence[Face], options: DetectionOptions) -> bool:
    return any(_overlap(face.box, other.box) > options.max_overlap for other in known)


def _overlap(one: Box, other: Box) -> float:
    """Return the intersection over union, 0 to 1."""
    return float(iou(torch.tensor(one), torch.tensor([other])))


def _in_image(area: PixelBox, mask_size: Size, image_size: Size) -> Box:
    across, down = image_size.width / mask_size.width, image_size.height / mask_size.height
    return Box(area.left * across, area.top * down, area.right * across, area.bottom * down)


def _without_face(areas: Sequence[Box], faces: Sequence[Face]) -> list[Box]:
    return [area for area in areas if not any(_overlap(area, face.box) > 0 for face in faces)]
