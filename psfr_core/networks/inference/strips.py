"""How maps are cut into strips of rows that stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator

import torch

_STRIP_BYTES = 1 << 23  # of the widest map of a strip; a quarter and four times of it are slower


def rows_of_strips(channels: int, side: int, dtype: torch.dtype) -> int:
    """How many rows of a map of ``side`` pixels with so many channels make a strip."""
    return max(2, min(side, _STRIP_BYTES // (side * channels * dtype.itemsize)))


def strips(height: int, rows: int) -> Iterator[tuple[int, int]]:
    """The first row of each strip of a map of ``height``, and the one after its last."""
    return ((start, min(start + rows, height)) for start in range(0, height, rows))
