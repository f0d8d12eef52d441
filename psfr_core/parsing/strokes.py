"""Brush strokes on parse maps, stored as a short text."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import OptionError
from .labels import FaceRegion
from .parse_map import ParseMap

UNITS = 1000  # strokes are measured in thousandths of the map's side, so they fit a map of any size
ERASER = "parsed"
MAX_TEXT_LENGTH = 2_000_000
_MIN_RADIUS_PX = 0.75  # a dot always covers the pixel under it
_STROKE = re.compile(r"(\d{1,4}) ([a-z_]+) (\d{1,4})((?: -?\d{1,4},-?\d{1,4})+)")


@dataclass(frozen=True)
class Stroke:
    """One line of a round brush on one face.

    Lengths are thousandths of the side of the map, from its top left corner; points may lie outside. ``region`` None erases:
    it restores the regions below all strokes.
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
        """Parse a text in the format of ``to_text``; return None for an empty text.

        Raises OptionError for any other text, and names the part that is wrong.
        """
        if not text.strip():
            return None
        if len(text) > MAX_TEXT_LENGTH:
            raise OptionError(f"strokes have {len(text)} characters; the maximum is {MAX_TEXT_LENGTH}.")
        head, *parts = text.split(";")
        match = re.fullmatch(r"\s*faces (\d{1,4})\s*", head)
        if match is None:
            raise OptionError(f"strokes must start with the number of faces, as 'faces 1', got {_excerpt(head)}.")
        return cls(int(match[1]), tuple(_parse_stroke(part.strip()) for part in parts))

    def to_text(self) -> str:
        """Return the text, such as ``faces 1; 0 hair 60 500,120 520,118``: face, region, diameter and points."""
        return "; ".join([f"faces {self.face_count}", *map(_stroke_text, self.strokes)])

    def paint(self, parse_map: ParseMap) -> ParseMap:
        """Return ``parse_map`` with the strokes drawn on it; strokes of faces that it does not have are ignored."""
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
            f"A stroke must be a face, a region, a diameter and points, as '0 hair 60 500,120', got {_excerpt(part)}."
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
    """Return a bool mask (H, W), True where the center of a pixel lies under the brush.

    web/js/lib/strokes.js computes the same, in the same order of operations, so that both give equal masks.
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
        # The nearest point of the segment to each pixel, as a fraction of its length.
        along = ((x - x0) * dx + (y - y0) * dy) / length_squared if length_squared else torch.zeros(1, 1).double()
        along = along.clamp(0, 1)
        off_x, off_y = x - x0 - along * dx, y - y0 - along * dy
        covered[top:bottom, left:right] |= off_x * off_x + off_y * off_y <= radius * radius
    return covered


def _span(start: float, end: float, radius: float, limit: int) -> tuple[int, int]:
    """Return the range of pixels, first and end, that a segment can reach along one axis."""
    first = min(max(int(min(start, end) - radius - 1), 0), limit)
    return first, min(max(int(max(start, end) + radius + 2), first), limit)


def _excerpt(text: str, length: int = 60) -> str:
    return repr(text if len(text) <= length else f"{text[:length]}...")
