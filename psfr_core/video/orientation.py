"""Rotate frames upright. Phones store portrait videos sideways, with the rotation in the metadata."""

from __future__ import annotations

import torch
from torch import Tensor

from ..images.box import Size


def turn_upright(frame: Tensor, quarters: int) -> Tensor:
    """Rotate ``frame`` (C, H, W) counterclockwise by ``quarters`` quarter turns, as a player shows it."""
    return frame.rot90(quarters, (-2, -1)) if quarters else frame


def upright_affine(quarters: int, stored: Size) -> Tensor:
    """Return the affine transform (2, 3) from pixels of a frame of the size ``stored`` to those of ``turn_upright``."""
    right, bottom = stored.width - 1.0, stored.height - 1.0
    rows = {
        0: ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
        1: ((0.0, 1.0, 0.0), (-1.0, 0.0, right)),
        2: ((-1.0, 0.0, right), (0.0, -1.0, bottom)),
        3: ((0.0, -1.0, bottom), (1.0, 0.0, 0.0)),
    }
    return torch.tensor(rows[quarters % 4], dtype=torch.float64, device="cpu")
