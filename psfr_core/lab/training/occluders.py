"""Draw objects over a part of a face, so that a detector learns to find occluded faces."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

Points = Sequence[tuple[float, float]]

_MASK_COLORS = ((150, 195, 230), (120, 190, 190), (235, 235, 235), (25, 25, 30), (240, 180, 200), (60, 70, 110))


class _FaceFrame:
    """Coordinate system of a face. The origin is midway between the eyes, and the unit of the x axis is the eye distance.

    The x axis points from the left to the right eye as seen in the image. The y axis points to the mouth, and its unit is
    chosen such that the mouth of any face is at y = 1.05.
    """

    def __init__(self, landmarks: np.ndarray) -> None:
        self.unit = float(np.hypot(*(landmarks[1] - landmarks[0])))
        self._middle = (landmarks[0] + landmarks[1]) / 2
        self._across = (landmarks[1] - landmarks[0]) / self.unit
        mouth = (landmarks[3] + landmarks[4]) / 2
        self._down = (mouth - self._middle) / 1.05 / self.unit  # puts the mouth at (0, 1.05), as in a frontal face

    def points(self, coordinates: Points) -> list[tuple[float, float]]:
        """Convert face coordinates to pixels."""
        return [tuple(self._middle + self.unit * (x * self._across + y * self._down)) for x, y in coordinates]


def occlude(image: Image.Image, landmarks: np.ndarray, textures: Sequence[Image.Image], random: Generator) -> None:
    """Draw a surgical mask, a hand, a scarf, sunglasses or another object over the face in the RGBA ``image``, in place.

    ``landmarks`` (5, 2) are in pixels. Patterns come from ``textures``. The alpha channel does not change.
    """
    frame = _FaceFrame(landmarks)
    kinds: tuple[tuple[Callable[..., None], float], ...] = (
        (_draw_mask, 0.45),
        (_draw_hand, 0.15),
        (_draw_scarf, 0.2),
        (_draw_sunglasses, 0.1),
        (_draw_object, 0.1),
    )
    draw = kinds[int(random.choice(len(kinds), p=[probability for _, probability in kinds]))][0]
    colors = image.convert("RGB")
    draw(colors, frame, textures, random)
    image.paste(Image.merge("RGBA", [*colors.split(), image.getchannel("A")]))


def _draw_mask(colors: Image.Image, frame: _FaceFrame, textures: Sequence[Image.Image], random: Generator) -> None:
    top, side, low, chin = (random.uniform(*span) for span in ((0.3, 0.7), (0.85, 1.1), (1.2, 1.6), (1.8, 2.2)))
    edge = top + random.uniform(0.0, 0.25)
    narrow = random.uniform(0.3, 0.9) * side
    outline = [(-side, edge), (0.0, top), (side, edge), (side, low), (narrow, chin - 0.15), (0.0, chin)]
    outline += [(-narrow, chin - 0.15), (-side, low)]
    if random.random() < 0.3:  # a flat upper edge
        outline[1] = (0.0, edge)
    for height in (edge, low):
        for direction in (-1, 1):
            ends = frame.points([(direction * side, height), (direction * 1.6, random.uniform(0.1, 0.8))])
            ImageDraw.Draw(colors).line(ends, _MASK_COLORS[2], max(round(0.04 * frame.unit), 1))
    cloth = _cloth(colors.size, textures, random)
    if random.random() < 0.6:
        pleats = ImageDraw.Draw(cloth)
        shade = tuple(int(level * random.uniform(0.6, 0.95)) for level in np.asarray(cloth)[0, 0])
        for height in np.linspace(edge, chin, int(random.integers(3, 7))):
            pleats.line(frame.points([(-side, height), (side, height)]), shade, max(round(0.04 * frame.unit), 1))
        cloth = cloth.filter(ImageFilter.GaussianBlur(random.uniform(0, 0.12) * frame.unit))
    _cover(colors, _polygon(colors.size, frame.points(outline), random), _shaded(cloth, random))


def _draw_hand(colors: Image.Image, frame: _FaceFrame, textures: Sequence[Image.Image], random: Generator) -> None:
    (cheek,) = frame.points([(random.choice([-0.5, 0.5]), 0.7)])
    column, row = (
        min(max(round(coordinate), 0), length - 1) for coordinate, length in zip(cheek, colors.size, strict=True)
    )
    skin = np.asarray(colors)[row, column] * random.uniform(0.7, 1.2)
    angle, aim_x, aim_y = random.uniform(0, 2 * math.pi), random.uniform(-0.6, 0.6), random.uniform(-0.1, 1.5)
    along, across = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
    width = random.uniform(0.22, 0.38)
    for finger in range(int(random.integers(1, 5))):
        shape = Image.new("L", colors.size)
        tip = np.array([aim_x, aim_y]) + finger * width * across + random.uniform(-0.2, 0.2) * along
        ends = frame.points([tuple(tip), tuple(tip + 4 * along)])
        draw, radius = ImageDraw.Draw(shape), width * frame.unit / 2
        draw.line(ends, 255, round(2 * radius))
        (x, y) = ends[0]
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), 255)
        # fingers are brighter in the middle than at their sides, so their brightness follows the blurred shape
        light = np.asarray(shape.filter(ImageFilter.GaussianBlur(radius / 2)), np.float32)[..., None] / 255
        body = Image.fromarray(np.clip(skin * (0.55 + 0.5 * light), 0, 255).astype(np.uint8))
        _cover(colors, shape.filter(ImageFilter.GaussianBlur(1)), body)


def _draw_scarf(colors: Image.Image, frame: _FaceFrame, textures: Sequence[Image.Image], random: Generator) -> None:
    width, top, bottom = random.uniform(0.95, 1.25), random.uniform(0.5, 1.0), random.uniform(1.6, 2.0)
    if random.random() < 0.25:
        bottom = random.uniform(0.3, 0.8)  # the scarf also covers the mouth, up to the nose
    angles = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    middle, radius = (bottom - top) / 2, (bottom + top) / 2
    opening = [(width * math.cos(angle), middle + radius * math.sin(angle)) for angle in angles]
    around = _polygon(colors.size, frame.points(opening), random).point(lambda level: 255 - level)
    _cover(colors, around, _shaded(_cloth(colors.size, textures, random), random))


def _draw_sunglasses(
    colors: Image.Image, frame: _FaceFrame, textures: Sequence[Image.Image], random: Generator
) -> None:
    dark = tuple(int(level) for level in random.integers(0, 60, 3))
    width, high, low = random.uniform(0.32, 0.48), random.uniform(0.2, 0.35), random.uniform(0.2, 0.5)
    shape = Image.new("L", colors.size)
    draw = ImageDraw.Draw(shape)
    for eye in (-0.5, 0.5):
        angles = np.linspace(0, 2 * math.pi, 24, endpoint=False)
        power = random.uniform(0.4, 1.0)  # low values give a rounded rectangle, 1 gives an ellipse
        rim = [
            (
                eye + width * math.copysign(abs(math.cos(angle)) ** power, math.cos(angle)),
                (low if math.sin(angle) > 0 else high) * math.copysign(abs(math.sin(angle)) ** power, math.sin(angle)),
            )
            for angle in angles
        ]
        draw.polygon(frame.points(rim), 255)
        ends = frame.points([(eye, -0.1), (3.2 * eye, -0.15)])
        draw.line(ends, 255, max(round(0.06 * frame.unit), 1))
    draw.line(frame.points([(-0.3, -0.1), (0.3, -0.1)]), 255, max(round(0.08 * frame.unit), 1))
    opacity = random.uniform(0.7, 1.0)
    _cover(colors, shape.point(lambda level: int(level * opacity)), Image.new("RGB", colors.size, dark))


def _draw_object(colors: Image.Image, frame: _FaceFrame, textures: Sequence[Image.Image], random: Generator) -> None:
    angle, distance = random.uniform(0, 2 * math.pi), random.uniform(0.35, 0.9)
    along, across = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
    near = np.array([0.0, 0.5]) + distance * along
    corners = [near + 2 * across, near - 2 * across, near - 2 * across + 4 * along, near + 2 * across + 4 * along]
    outline = frame.points([(float(x), float(y)) for x, y in corners])
    _cover(colors, _polygon(colors.size, outline, random), _cloth(colors.size, textures, random))


def _cloth(size: tuple[int, int], textures: Sequence[Image.Image], random: Generator) -> Image.Image:
    """Return an image of cloth in one color or with a pattern from one of the textures."""
    if random.random() < 0.5:
        color = np.array(_MASK_COLORS[int(random.integers(len(_MASK_COLORS)))]) * random.uniform(0.7, 1.05)
        if random.random() < 0.4:
            color = random.uniform(10, 245, 3)
        return Image.new("RGB", size, tuple(int(level) for level in color))
    texture = textures[int(random.integers(len(textures)))]
    part = random.uniform(0.1, 0.6) * min(texture.size)
    left, top = (random.uniform(0, length - part) for length in texture.size)
    return texture.resize(size, Image.Resampling.BILINEAR, box=(left, top, left + part, top + part))


def _shaded(cloth: Image.Image, random: Generator) -> Image.Image:
    """Return ``cloth`` with smooth variations of brightness that resemble folds."""
    light = Image.fromarray(random.uniform(150, 255, (4, 4)).astype(np.uint8)).resize(
        cloth.size, Image.Resampling.BICUBIC
    )
    shade = np.asarray(light, np.float32)[..., None] / 230
    return Image.fromarray(np.clip(np.asarray(cloth, np.float32) * shade, 0, 255).astype(np.uint8))


def _polygon(size: tuple[int, int], outline: Points, random: Generator) -> Image.Image:
    """Return a mask that is white inside ``outline`` and has an edge of random softness."""
    shape = Image.new("L", size)
    ImageDraw.Draw(shape).polygon(list(outline), 255)
    return shape.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.5)))


def _cover(colors: Image.Image, shape: Image.Image, cover: Image.Image) -> None:
    colors.paste(cover, (0, 0), shape)
