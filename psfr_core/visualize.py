"""Pictures that show what was found and what was done."""

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

_GOLDEN_RATIO = 0.618034  # steps of this share of the color circle never meet
_GAP = 0.02  # between pictures side by side, as a fraction of their height


def draw_faces(image: Tensor, faces: Sequence[Face]) -> Tensor:
    """The image (3, H, W), RGB in [0, 1], with each face's box, landmarks and place in ``faces``, counted from 0.

    What no line covers stays as it is, bit for bit.
    """
    check_shape(image, "3 H W", "image")
    check_float(image, "image")
    size = Size.of(image)
    layer = Image.new("RGBA", size)
    draw = ImageDraw.Draw(layer)
    for index, face in enumerate(faces):
        _draw_face(draw, face, index, size)
    drawn = torch.from_numpy(np.array(layer)).to(image.device).permute(2, 0, 1)
    return torch.where(drawn[3:] > 0, drawn[:3].to(image.dtype) / 255, image)


def difference_image(images: Tensor, references: Tensor, gain: float = 1.0) -> Tensor:
    """Where and how much two batches (B, 3, H, W) of one shape differ: ``gain`` times the absolute difference, in [0, 1]."""
    check_pair(images, references)
    return ((images - references).abs() * gain).clamp(0, 1)


def side_by_side(pictures: Sequence[Tensor]) -> Tensor:
    """The pictures (3, H, W), RGB in [0, 1], in one row on white, such as before and after.

    All get the height of the highest, so that a small input is shown as large as its restored version.
    """
    if not pictures:
        raise InputError("There is no picture to put side by side; give at least one.")
    for number, picture in enumerate(pictures):
        check_shape(picture, "3 H W", f"picture {number}")
    height = max(Size.of(picture).height for picture in pictures)
    gap = pictures[0].new_ones(3, height, max(round(height * _GAP), 1))
    row = [_with_height(pictures[0], height)]
    for picture in pictures[1:]:
        row += [gap, _with_height(picture, height)]
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
    """A tag on top of the box with this ``corner``, so that it hides nothing of the face; inside it where there is no room."""
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


def _with_height(picture: Tensor, height: int) -> Tensor:
    size = Size.of(picture)
    if size.height == height:
        return picture
    return resize(picture, Size(max(round(size.width * height / size.height), 1), height)).clamp(0, 1)
