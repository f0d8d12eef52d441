"""Draw a portrait that the bundled networks detect, parse and restore, so that checks need no image file."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ...faces.align import align_faces
from ...faces.face import Face
from ...images.box import Box

# Positions (x, y) of the eyes, nose tip and mouth corners, as fractions of the image side.
_LANDMARKS = ((0.427, 0.462), (0.574, 0.464), (0.500, 0.561), (0.438, 0.641), (0.556, 0.642))


class _Ellipse(NamedTuple):
    """Ellipse with a soft edge, which is wider for higher ``softness``.

    Positions and radii are fractions of the image side; colors are RGB in [0, 1].
    """

    x: float
    y: float
    radius_x: float
    radius_y: float
    color: tuple[float, float, float]
    softness: float = 0.06


def _eye(x: float) -> tuple[_Ellipse, ...]:
    return (
        _Ellipse(x, 0.455, 0.045, 0.018, (0.90, 0.88, 0.86)),
        _Ellipse(x, 0.455, 0.017, 0.017, (0.20, 0.13, 0.10)),
        _Ellipse(x, 0.430, 0.050, 0.009, (0.35, 0.25, 0.20)),
        _Ellipse(x, 0.405, 0.055, 0.012, (0.20, 0.13, 0.10)),
        _Ellipse(x, 0.475, 0.040, 0.006, (0.62, 0.45, 0.37), 0.5),
    )


# From back to front: hair, clothes, neck, face, fringe, eyes, nose and lips.
_ELLIPSES = (
    _Ellipse(0.50, 0.420, 0.240, 0.330, (0.18, 0.12, 0.09)),
    _Ellipse(0.50, 1.020, 0.380, 0.220, (0.25, 0.30, 0.45)),
    _Ellipse(0.50, 0.750, 0.090, 0.160, (0.74, 0.54, 0.43)),
    _Ellipse(0.50, 0.500, 0.190, 0.270, (0.82, 0.62, 0.50)),
    _Ellipse(0.50, 0.270, 0.170, 0.080, (0.20, 0.13, 0.10), 0.3),
    *_eye(0.43),
    *_eye(0.57),
    _Ellipse(0.50, 0.530, 0.018, 0.070, (0.88, 0.69, 0.57), 0.5),
    _Ellipse(0.50, 0.575, 0.035, 0.018, (0.75, 0.54, 0.44), 0.5),
    _Ellipse(0.48, 0.585, 0.010, 0.007, (0.40, 0.25, 0.20), 0.3),
    _Ellipse(0.52, 0.585, 0.010, 0.007, (0.40, 0.25, 0.20), 0.3),
    _Ellipse(0.50, 0.650, 0.065, 0.014, (0.65, 0.30, 0.28)),
    _Ellipse(0.50, 0.667, 0.050, 0.014, (0.72, 0.36, 0.34)),
    _Ellipse(0.50, 0.655, 0.058, 0.004, (0.35, 0.15, 0.14)),
)


def drawn_portrait(side: int = 512) -> Tensor:
    """Return the drawn portrait (3, side, side), RGB in [0, 1]."""
    position = (torch.arange(side) + 0.5) / side
    y, x = position[:, None], position[None, :]
    image = torch.stack(
        [(0.55 + 0.1 * y).expand(side, side), torch.full((side, side), 0.6), (0.65 - 0.1 * x).expand(side, side)]
    )
    for ellipse in _ELLIPSES:
        distance = ((x - ellipse.x) / ellipse.radius_x) ** 2 + ((y - ellipse.y) / ellipse.radius_y) ** 2
        cover = torch.sigmoid((1 - distance) / ellipse.softness)
        image = image * (1 - cover) + torch.tensor(ellipse.color).view(3, 1, 1) * cover
    return image


def drawn_crops(count: int, side: int) -> Tensor:
    """Return aligned crops (count, 3, side, side) of the drawn face, RGB in [0, 1].

    The crops are darkened by factors from 1.0 for the first to 0.7 for the last.
    """
    landmarks = torch.tensor(_LANDMARKS) * 512 - 0.5  # landmarks refer to pixel centers
    portrait, face = drawn_portrait(512), Face(Box(166, 148, 346, 390), landmarks, 1.0)
    crop = align_faces(portrait, [face], side)[0].crop
    return crop * torch.linspace(1.0, 0.7, count)[:, None, None, None]
