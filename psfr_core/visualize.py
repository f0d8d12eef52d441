"""Draw detected faces, and compare images."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .checks import check_float, check_pair, check_shape
from .errors import InputError
from .faces.face import Face
from .images.box import Size
from .images.resize import resize

_GOLDEN_RATIO = 0.618034  # hue step that gives distinct colors for any number of faces
_GAP = 0.02  # gap between images as a fraction of their height


def draw_faces(image: Tensor, faces: Sequence[Face]) -> Tensor:
    """Draw the box, the landmarks and the track or index of each face on a copy of ``image`` (3, H, W), RGB in [0, 1].

    Faces whose boxes lie outside the image are not drawn. Pixels that are not drawn on stay bit-identical. Raises InputError for
    another shape or dtype.
    """
    check_shape(image, "3 H W", "image")
    check_float(image, "image")
    size = Size.of(image)
    layer = Image.new("RGBA", size)
    draw = ImageDraw.Draw(layer)
    for index, face in enumerate(faces):
        _draw_face(draw, face, index if face.track is None else face.track, size)
    drawn = torch.from_numpy(np.array(layer)).to(image.device).permute(2, 0, 1)
    return torch.where(drawn[3:] > 0, drawn[:3].to(image.dtype) / 255, image)


def difference_image(images: Tensor, references: Tensor, gain: float = 1.0) -> Tensor:
    """Return ``gain`` times the absolute difference between ``images`` and ``references`` (B, 3, H, W), clamped to [0, 1].

    Raises InputError unless both are float batches of the same shape.
    """
    check_pair(images, references)
    return ((images - references).abs() * gain).clamp(0, 1)


def side_by_side(images: Sequence[Tensor]) -> Tensor:
    """Arrange images (3, H, W), RGB in [0, 1], in a row with white gaps.

    All images are resized to the height of the tallest one. Raises InputError for an empty sequence and for other shapes.
    """
    if not images:
        raise InputError("At least one image is needed, got none.")
    for index, image in enumerate(images):
        check_shape(image, "3 H W", f"image {index}")
    height = max(Size.of(image).height for image in images)
    gap = images[0].new_ones(3, height, max(round(height * _GAP), 1))
    row = [_with_height(images[0], height)]
    for image in images[1:]:
        row += [gap, _with_height(image, height)]
    return torch.cat(row, dim=2)


def _draw_face(draw: ImageDraw.ImageDraw, face: Face, index: int, size: Size) -> None:
    color = _face_color(index)
    box = face.box.to_pixels(size)
    if box.is_empty:
        return
    line_px = max(round(min(size) / 400), 1)
    draw.rectangle((box.left, box.top, box.right - 1, box.bottom - 1), outline=color, width=line_px)
    radius = max(line_px, round(face.eye_distance / 20))
    for x, y in face.landmarks.round().int().tolist():
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
    _draw_tag(draw, str(index), (box.left, box.top), max(round(min(size) / 30), 12), color)


def _draw_tag(
    draw: ImageDraw.ImageDraw, text: str, corner: tuple[int, int], height_px: int, color: tuple[int, int, int]
) -> None:
    """Draw a tag above the box whose top-left corner is ``corner``, or inside the box if there is no space above it."""
    font = ImageFont.load_default(height_px)
    _, _, width, height = draw.textbbox((0, 0), text, font=font, anchor="lt")
    margin = height_px // 4
    left, top = corner[0], corner[1] - height - 2 * margin
    top = corner[1] if top < 0 else top
    draw.rectangle((left, top, left + width + 2 * margin, top + height + 2 * margin), fill=color)
    draw.text((left + margin, top + margin), text, fill=(0, 0, 0), font=font, anchor="lt")


def _face_color(index: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(0.33 + index * _GOLDEN_RATIO, 0.7, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def _with_height(image: Tensor, height: int) -> Tensor:
    size = Size.of(image)
    if size.height == height:
        return image
    return resize(image, Size(max(round(size.width * height / size.height), 1), height)).clamp(0, 1)
