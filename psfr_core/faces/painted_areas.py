"""Find the separate areas of a mask."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_real, check_shape
from ..images.box import PixelBox, Size

_SIDE = 256  # maximum side of the grid of cells in which areas are separated


def painted_areas(mask: Tensor) -> list[PixelBox]:
    """Return the boxes of the connected areas in which ``mask`` (H, W) is above 0.5, sorted by top and then by left.

    Areas are connected if they lie in the same cell or in adjacent cells, also diagonally, of a grid with at most 256 cells per
    side. Raises InputError for a mask of another shape or dtype.
    """
    check_shape(mask, "H W", "mask")
    check_real(mask, "mask")
    is_painted = mask > 0.5
    cell = max(math.ceil(max(mask.shape) / _SIDE), 1)
    grid = F.max_pool2d(is_painted[None, None].float(), cell, ceil_mode=True)[0, 0] > 0
    boxes = []
    labels = _connected(grid)
    for label in labels[grid].unique():
        rows, columns = (labels == label).nonzero().unbind(dim=1)
        edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        part = PixelBox(*(int(edge) * cell for edge in edges)).within(Size.of(mask))
        boxes.append(_tight(part, is_painted))
    return sorted(boxes, key=lambda box: (box.top, box.left))


def _connected(grid: Tensor) -> Tensor:
    """Return labels (H, W) with a distinct positive number for each connected area of ``grid``, and 0 elsewhere."""
    labels = torch.arange(1, grid.numel() + 1, dtype=torch.float32, device=grid.device).view_as(grid) * grid
    while True:
        spread = F.max_pool2d(labels[None, None], 3, stride=1, padding=1)[0, 0] * grid
        if torch.equal(spread, labels):
            return labels
        labels = spread


def _tight(part: PixelBox, is_painted: Tensor) -> PixelBox:
    """Shrink ``part`` to its painted pixels."""
    rows, columns = part.cut(is_painted).nonzero().unbind(dim=1)
    return PixelBox(
        part.left + int(columns.min()),
        part.top + int(rows.min()),
        part.left + int(columns.max()) + 1,
        part.top + int(rows.max()) + 1,
    )
