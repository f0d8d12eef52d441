"""Two restorers in one: for small and for large faces."""

from __future__ import annotations

import torch
from torch import Tensor

from .face_restorer import FaceRestorer


class SizedRestorer(FaceRestorer):
    """Restores faces of more than ``limit`` pixels by ``large``, and others by ``small``.

    ``for_side`` selects one of them; called itself, it restores faces of its size by ``large``.
    """

    def __init__(self, small: FaceRestorer, large: FaceRestorer, limit: float) -> None:
        super().__init__()
        self.small, self.large, self.limit = small, large, limit
        self.uses_parse_map = small.uses_parse_map or large.uses_parse_map
        self.dtypes: tuple[torch.dtype, ...] = tuple(dtype for dtype in small.dtypes if dtype in large.dtypes)

    @property
    def size(self) -> int:
        """Side of the faces of ``large``, in pixels."""
        return self.large.size

    def for_side(self, side: float) -> FaceRestorer:
        """Return the restorer of a face whose crop has ``side`` pixels in the image."""
        return self.large if side > self.limit else self.small

    def forward(self, lq: Tensor, parse_one_hot: Tensor | None = None) -> Tensor:
        """See ``FaceRestorer``."""
        return self.large(lq, parse_one_hot)
