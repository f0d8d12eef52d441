"""Optimal assignment of faces to tracks."""

from __future__ import annotations

import numpy as np
from torch import Tensor


def assign(costs: Tensor, max_cost: float) -> list[tuple[int, int]]:
    """Return the pairs (row, column) of the assignment of least total cost in ``costs`` (N, M).

    Each row and each column is in at most one pair, and no pair costs more than ``max_cost``: leaving a row and a column
    without a partner costs as much as that.
    """
    from scipy.optimize import linear_sum_assignment  # SciPy takes long to import

    rows, columns = costs.shape
    # A dummy partner for each row and each column makes staying alone an option.
    padded = np.full((rows + columns, rows + columns), 0.0)
    padded[:rows, :columns] = costs.numpy()
    padded[:rows, columns:] = padded[rows:, :columns] = max_cost / 2
    chosen = zip(*linear_sum_assignment(padded), strict=True)
    return [(int(row), int(column)) for row, column in chosen if row < rows and column < columns]
