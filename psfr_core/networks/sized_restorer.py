"""Combine two restorers, one for small and one for large faces."""

from __future__ import annotations

import torch
from torch import Tensor

from .face_restorer import FaceRestorer


class SizedRestorer(FaceRestorer):
    """A pair of restorers: ``large`` for crops with a side of more than ``limit`` image pixels, and ``small`` for others.

    ``for_side`` selects one of them. ``forward`` always uses ``large``.
    """

    def __init__(self, small: FaceRestorer, large: FaceRestorer, limit: float) -> None:
        super().__init__()
        self.small, self.large, self.limit = small, large, limit
        self.uses_parse_map = small.uses_parse_map or large.uses_parse_map
        self.dtypes: tuple[torch.dtype, ...] = tuple(dtype for dtype in small.dtypes if dtype in large.dtypes)

    @property
    def size(self) -> int:
        """Side in pixels of the faces that ``large`` takes and returns."""
        return self.large.size

    def for_side(self, side: float) -> FaceRestorer:
        """Return the restorer for a face whose crop has a side of ``side`` image pixels."""
        return self.large if side > self.limit else self.small

    def forward(self, lq: Tensor, parse_one_hot: Tensor | None = None) -> Tensor:
        """Restore faces with ``large``, as ``FaceRestorer`` describes."""
        return self.large(lq, parse_one_hot)
