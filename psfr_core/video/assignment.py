"""Assign faces to tracks, or to the faces of another frame, with the least total cost."""

from __future__ import annotations

import numpy as np
from torch import Tensor


def assign(costs: Tensor, max_cost: float) -> list[tuple[int, int]]:
    """Return the pairs (row, column) of the assignment with the least total cost in ``costs`` (N, M).

    Each row and each column is in at most one pair. No pair costs more than ``max_cost``, because leaving both a row and a
    column without a partner costs ``max_cost``.
    """
    from scipy.optimize import linear_sum_assignment  # SciPy takes long to import

    rows, columns = costs.shape
    # A row or column that is assigned to a dummy has no partner.
    padded = np.full((rows + columns, rows + columns), 0.0)
    padded[:rows, :columns] = costs.numpy()
    padded[:rows, columns:] = padded[rows:, :columns] = max_cost / 2
    chosen = zip(*linear_sum_assignment(padded), strict=True)
    return [(int(row), int(column)) for row, column in chosen if row < rows and column < columns]
