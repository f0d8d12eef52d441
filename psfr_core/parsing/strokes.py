"""Draw brush strokes on parse maps, and store the strokes as a short text."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import OptionError
from .labels import FaceRegion
from .parse_map import ParseMap

UNITS = 1000  # units per side of the map; with relative lengths, strokes fit a map of any size
ERASER = "parsed"  # replaces the name of the region in the text of a stroke that erases
MAX_TEXT_LENGTH = 2_000_000
_MIN_RADIUS_PX = 0.75  # any dot of this radius covers the center of a pixel
_STROKE = re.compile(r"(\d{1,4}) ([a-z_]+) (\d{1,4})((?: -?\d{1,4},-?\d{1,4})+)")


@dataclass(frozen=True)
class Stroke:
    """One stroke of a round brush on one face.

    ``face`` is the index of the face's map. ``diameter`` and ``points`` (x, y) are in thousandths of the map's side. Points are
    relative to the top-left corner, and may lie outside the map. A stroke whose ``region`` is None erases earlier strokes,
    which restores the regions of the parse map.
    """

    face: int
    region: FaceRegion | None
    diameter: int
    points: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Painting:
    """Strokes in the order in which they were drawn, on the maps of ``face_count`` faces."""

    face_count: int
    strokes: tuple[Stroke, ...] = ()

    @classmethod
    def from_text(cls, text: str) -> Painting | None:
        """Parse a text in the format of ``to_text``. Return None for an empty text.

        Raises an OptionError that names the wrong part of any other text.
        """
        if not text.strip():
            return None
        if len(text) > MAX_TEXT_LENGTH:
            raise OptionError(f"strokes have {len(text)} characters; the maximum is {MAX_TEXT_LENGTH}.")
        head, *parts = text.split(";")
        match = re.fullmatch(r"\s*faces (\d{1,4})\s*", head)
        if match is None:
            raise OptionError(f"strokes must start with the number of faces, such as 'faces 1', got {_excerpt(head)}.")
        return cls(int(match[1]), tuple(_parse_stroke(part.strip()) for part in parts))

    def to_text(self) -> str:
        """Return a text such as ``faces 1; 0 hair 60 500,120 520,118``.

        It contains the number of faces, and the face, region, diameter and points of each stroke.
        """
        return "; ".join([f"faces {self.face_count}", *map(_stroke_text, self.strokes)])

    def paint(self, parse_map: ParseMap) -> ParseMap:
        """Return ``parse_map`` with the strokes drawn on it. Strokes of missing faces are ignored."""
        labels = parse_map.labels.clone()
        for stroke in self.strokes:
            if stroke.face < len(labels):
                covered = _coverage(stroke, *labels.shape[1:]).to(labels.device)
                if stroke.region is None:
                    labels[stroke.face][covered] = parse_map.labels[stroke.face][covered]
                else:
                    labels[stroke.face][covered] = int(stroke.region)
        return ParseMap(labels)


def _parse_stroke(part: str) -> Stroke:
    match = _STROKE.fullmatch(part)
    if match is None:
        raise OptionError(
            "A stroke must consist of a face, a region, a diameter and points, such as '0 hair 60 500,120', "
            f"got {_excerpt(part)}."
        )
    face, region, diameter, points = match.groups()
    pairs = (point.split(",") for point in points.split())
    return Stroke(int(face), _region(region), int(diameter), tuple((int(x), int(y)) for x, y in pairs))


def _region(name: str) -> FaceRegion | None:
    if name == ERASER:
        return None
    try:
        return FaceRegion[name.upper()]
    except KeyError:
        known = ", ".join(region.name.lower() for region in FaceRegion)
        raise OptionError(f"Unknown region {name!r} in strokes. Known regions: {known}, and {ERASER}.") from None


def _stroke_text(stroke: Stroke) -> str:
    name = ERASER if stroke.region is None else stroke.region.name.lower()
    return " ".join([f"{stroke.face} {name} {stroke.diameter}", *(f"{x},{y}" for x, y in stroke.points)])


def _coverage(stroke: Stroke, height: int, width: int) -> Tensor:
    """Return a bool mask (H, W) on the CPU that is True for pixels whose center is under the brush.

    web/js/lib/strokes.js performs the same operations in the same order, so that both masks are equal.
    """
    covered = torch.zeros(height, width, dtype=torch.bool)
    radius = max(stroke.diameter / 2 / UNITS * width, _MIN_RADIUS_PX)
    points = [(x / UNITS * width, y / UNITS * height) for x, y in stroke.points]
    for (x0, y0), (x1, y1) in zip(points, points[1:] or points, strict=False):
        top, bottom = _span(y0, y1, radius, height)
        left, right = _span(x0, x1, radius, width)
        y = torch.arange(top, bottom, dtype=torch.float64)[:, None] + 0.5
        x = torch.arange(left, right, dtype=torch.float64)[None, :] + 0.5
        dx, dy = x1 - x0, y1 - y0
        length_squared = dx * dx + dy * dy
        # The point of the segment nearest to each pixel, as a fraction of the segment's length.
        along = ((x - x0) * dx + (y - y0) * dy) / length_squared if length_squared else torch.zeros(1, 1).double()
        along = along.clamp(0, 1)
        off_x, off_y = x - x0 - along * dx, y - y0 - along * dy
        covered[top:bottom, left:right] |= off_x * off_x + off_y * off_y <= radius * radius
    return covered


def _span(start: float, end: float, radius: float, limit: int) -> tuple[int, int]:
    """Return the first and the end pixel (exclusive) that a segment from ``start`` to ``end`` can cover along one axis."""
    first = min(max(int(min(start, end) - radius - 1), 0), limit)
    return first, min(max(int(max(start, end) + radius + 2), first), limit)


def _excerpt(text: str, length: int = 60) -> str:
    return repr(text if len(text) <= length else f"{text[:length]}...")
