"""Convert between faces and SEGS, the segments of Impact Pack: ((height, width), list of SEG)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..psfr_core.errors import InputError, OptionError
from ..psfr_core.faces.face import Face
from ..psfr_core.faces.face_mask import MaskShape, face_mask, scaled_box
from ..psfr_core.images.box import Box, PixelBox, Size

_LABEL = "face"


class Seg(NamedTuple):
    """One segment, with the fields of Impact Pack's SEG. Regions are left, top, right and bottom in whole pixels."""

    cropped_image: Any
    cropped_mask: Any  # numpy array (h, w) of the size of the crop region, float32, 0 to 1
    confidence: float
    crop_region: tuple[int, ...]
    bbox: tuple[int, ...]
    label: str
    control_net_wrapper: Any = None


class Segs(NamedTuple):
    """The segments of one image."""

    shape: tuple[int, int]  # height, width
    segs: list[Seg]


def to_segs(faces: Sequence[Face], image_size: Size, crop_factor: float, shape: MaskShape) -> Segs:
    """Return one segment for each of ``faces`` that is visible in the image.

    ``crop_factor`` is the side of the crop region relative to the side of the face box. Near the boundary of the image, the
    region is moved inside. Raise OptionError for a factor below 1.
    """
    if not crop_factor >= 1:
        raise OptionError(f"crop_factor must be at least 1, got {crop_factor}.")
    visible = [(face, face.box.to_pixels(image_size)) for face in faces]
    segs = [_seg(face, box, image_size, crop_factor, shape) for face, box in visible if not box.is_empty]
    return Segs((image_size.height, image_size.width), segs)


def _seg(face: Face, box: PixelBox, image_size: Size, crop_factor: float, shape: MaskShape) -> Seg:
    region = _crop_region(box, image_size, crop_factor)
    mask = face_mask(face, region, shape)
    return Seg(None, mask.numpy(), face.score, tuple(region), tuple(box), _LABEL)


def _crop_region(box: PixelBox, image_size: Size, crop_factor: float) -> PixelBox:
    wanted = scaled_box(Box(*box), crop_factor)
    left, right = _moved_inside(wanted.left, wanted.right, image_size.width)
    top, bottom = _moved_inside(wanted.top, wanted.bottom, image_size.height)
    return PixelBox(left, top, right, bottom)


def _moved_inside(start: float, end: float, length: int) -> tuple[int, int]:
    first, last = math.floor(start), math.ceil(end)
    side = min(last - first, length)
    first = min(max(first, 0), length - side)
    return first, first + side


def boxes_of_segs(segs: Any, image_size: Size) -> list[Box]:
    """Return the boxes of SEGS, scaled to an image of ``image_size``, in pixels.

    Raise InputError for values that are not SEGS, and for SEGS of an image with another aspect ratio.
    """
    try:
        (height, width), found = segs[0], segs[1]
        boxes = [seg.bbox for seg in found]
    except (TypeError, ValueError, IndexError, KeyError, AttributeError):
        raise InputError(
            f"segs must be SEGS, ((height, width), list of SEG), got {type(segs).__name__}. Connect a detector of Impact Pack."
        ) from None
    size = Size(int(width), int(height))
    if not found:
        return []
    if min(size) < 1 or not size.has_aspect_of(image_size):
        raise InputError(
            f"The SEGS belong to an image of {size.width} x {size.height} pixels, but this image has "
            f"{image_size.width} x {image_size.height}. It must be the same image, which may be resized but not cropped."
        )
    across, down = image_size.width / size.width, image_size.height / size.height
    return [_scaled(box, across, down) for box in boxes]


def _scaled(box: Any, across: float, down: float) -> Box:
    try:
        left, top, right, bottom = map(float, box)
    except (TypeError, ValueError):
        raise InputError(f"The bbox of a SEG must be left, top, right and bottom in pixels, got {box!r}.") from None
    if not all(map(math.isfinite, (left, top, right, bottom))) or right <= left or bottom <= top:
        raise InputError(f"The bbox of a SEG must be finite and not empty, got {box!r}.")
    return Box(left * across, top * down, right * across, bottom * down)
