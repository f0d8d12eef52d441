"""Divide feature maps into strips of rows that fit in the CPU cache."""

from __future__ import annotations

from collections.abc import Iterator

import torch

_STRIP_BYTES = 1 << 23  # maximum size of a strip of a feature map; 2 MiB and 32 MiB are slower


def rows_of_strips(channels: int, side: int, dtype: torch.dtype) -> int:
    """Return the number of rows per strip, at least 2, for maps of ``side`` pixels with ``channels`` channels."""
    return max(2, min(side, _STRIP_BYTES // (side * channels * dtype.itemsize)))


def strips(height: int, rows: int) -> Iterator[tuple[int, int]]:
    """Yield the first row and the end row (exclusive) of each strip of a map of ``height`` rows."""
    return ((start, min(start + rows, height)) for start in range(0, height, rows))
