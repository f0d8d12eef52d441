"""Write and read ComfyUI's BOUNDING_BOX: a list of {x, y, width, height, label, score} for each frame, in pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

from ..psfr_core.errors import InputError
from ..psfr_core.images.box import Box
from .detected_faces import DetectedFaces

_SIDES = ("x", "y", "width", "height")


def to_bounding_boxes(faces: DetectedFaces) -> list[list[dict[str, float | str]]]:
    """Return the boxes of ``faces`` in pixels, one list for each frame."""
    return [
        [
            {
                "x": face.box.left,
                "y": face.box.top,
                "width": face.box.width,
                "height": face.box.height,
                "label": "face",
                "score": face.score,
            }
            for face in found
        ]
        for found in faces.frames
    ]


def boxes_of_frames(bounding_boxes: Any, count: int) -> list[list[Box]]:
    """Return the boxes for each of ``count`` frames.

    ``bounding_boxes`` is one box or one list of boxes for all frames, or a sequence with one list of boxes per frame. Raise
    InputError for other values, and for a sequence whose length is neither 1 nor ``count``.
    """
    frames = [bounding_boxes] if isinstance(bounding_boxes, Mapping) else bounding_boxes
    if not isinstance(frames, (list, tuple)):
        raise InputError(f"bounding_boxes must be a list of boxes, got {type(bounding_boxes).__name__}.")
    if all(isinstance(box, Mapping) for box in frames):
        frames = [frames]
    if len(frames) not in (1, count):
        raise InputError(
            f"The bounding boxes belong to {len(frames)} images, but there are {count} images. Connect the boxes of these images."
        )
    parsed = [[_parse_box(box, frame) for box in _boxes(boxes, frame)] for frame, boxes in enumerate(frames)]
    return parsed * count if len(parsed) == 1 else parsed


def _boxes(boxes: Any, frame: int) -> list[Any]:
    if not isinstance(boxes, (list, tuple)):
        raise InputError(f"The bounding boxes of image {frame} must be a list, got {type(boxes).__name__}.")
    return list(boxes)


def _parse_box(box: Any, frame: int) -> Box:
    sides: list[Any] = [box.get(side) for side in _SIDES] if isinstance(box, Mapping) else []
    is_number = [isinstance(side, Real) and math.isfinite(side) for side in sides]
    if not sides or not all(is_number) or min(sides[2:]) <= 0:
        raise InputError(
            f"A bounding box needs finite x, y, width and height, with width and height above 0, got {box!r} for image {frame}."
        )
    left, top, width, height = map(float, sides)
    return Box(left, top, left + width, top + height)
