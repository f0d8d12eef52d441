"""Draw masks of detected faces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum

import torch
from torch import Tensor

from ..checks import check_type
from ..errors import OptionError
from ..images.box import Box, PixelBox, Size
from .face import Face, check_faces


class MaskShape(str, Enum):
    """Shape of a face in a mask."""

    ELLIPSE = "ellipse"  # touches the four sides of the box
    BOX = "box"


def faces_mask(faces: Sequence[Face], image_size: Size, shape: MaskShape, scale: float = 1.0) -> Tensor:
    """Return a float32 mask (H, W) of ``image_size`` that is 1 inside the ``faces``, 0 elsewhere, and antialiased at edges.

    ``scale`` multiplies the sides of the faces' boxes, whose centers do not move. Raises InputError for faces that ``check_faces``
    rejects, and OptionError for a ``scale`` that is not above 0.
    """
    check_faces(faces)
    check_type(image_size, Size, "image_size")
    mask = torch.zeros(image_size.height, image_size.width)
    for face in faces:
        part = scaled_box(face.box, scale).to_pixels(image_size)
        if not part.is_empty:
            drawn = part.cut(mask)
            torch.maximum(drawn, face_mask(face, part, shape, scale), out=drawn)
    return mask


def face_mask(face: Face, part: PixelBox, shape: MaskShape, scale: float = 1.0) -> Tensor:
    """Return the rectangle ``part`` of the float32 mask that ``faces_mask`` draws for one face."""
    check_type(shape, MaskShape, "shape")
    box = scaled_box(face.box, scale)
    columns = torch.arange(part.left, part.right, dtype=torch.float32)
    rows = torch.arange(part.top, part.bottom, dtype=torch.float32)
    if shape is MaskShape.BOX:
        return _coverage(rows, box.top, box.bottom)[:, None] * _coverage(columns, box.left, box.right)
    (x, y), across, down = box.center, max(box.width, 1e-6) / 2, max(box.height, 1e-6) / 2
    dx, dy = (columns + 0.5 - x) / across, ((rows + 0.5 - y) / down)[:, None]
    radius = torch.hypot(dx, dy)  # 1 on the edge
    slope = torch.hypot(dx / across, dy / down) / radius.clamp(min=1e-6)  # change of the radius per pixel
    return (0.5 - (radius - 1) / slope.clamp(min=1e-6)).clamp(0, 1)


def scaled_box(box: Box, scale: float) -> Box:
    """Return ``box`` with sides multiplied by ``scale`` and the same center. Raise OptionError unless ``scale`` is above 0."""
    if not (math.isfinite(scale) and scale > 0):
        raise OptionError(f"scale must be a number above 0, got {scale}. 1 keeps the size of the boxes.")
    (x, y), across, down = box.center, box.width * scale / 2, box.height * scale / 2
    return Box(x - across, y - down, x + across, y + down)


def _coverage(pixels: Tensor, start: float, end: float) -> Tensor:
    """Return the fraction, 0 to 1, of each pixel that lies between ``start`` and ``end``. ``pixels`` are pixel indices."""
    return (torch.clamp(pixels + 1, max=end) - torch.clamp(pixels, min=start)).clamp(0, 1)
