"""How well predicted parse maps cover the true ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...checks import check_shape
from ...errors import InputError
from ...networks.psfr_generator import PARSE_CLASSES


@dataclass(frozen=True, eq=False)  # tensors do not compare to one bool
class ConfusionMatrix:
    """How many pixels of each true region (row) were given each region (column): int64 (19, 19) on the CPU.

    Add the matrices of all pictures of a data set and ask the sum: small regions would be noise in single pictures.
    """

    counts: Tensor

    def __post_init__(self) -> None:
        check_shape(self.counts, f"{PARSE_CLASSES} {PARSE_CLASSES}", "counts")

    @classmethod
    def of(cls, predicted: Tensor, true: Tensor) -> ConfusionMatrix:
        """The matrix of label maps (B, H, W), each label from 0 to 18."""
        check_shape(predicted, "B H W", "predicted")
        if predicted.shape != true.shape:
            shapes = f"{tuple(predicted.shape)} and {tuple(true.shape)}"
            raise InputError(f"predicted and true labels must have the same shape, got {shapes}.")
        for labels, name in ((predicted, "predicted"), (true, "true")):
            low, high = (int(bound) for bound in torch.aminmax(labels))
            if low < 0 or high >= PARSE_CLASSES:
                raise InputError(f"{name} labels must lie from 0 to {PARSE_CLASSES - 1}, found {low} to {high}.")
        pairs = true.long() * PARSE_CLASSES + predicted.long()
        counts = torch.bincount(pairs.flatten(), minlength=PARSE_CLASSES**2)
        return cls(counts.view(PARSE_CLASSES, PARSE_CLASSES).cpu())

    @classmethod
    def empty(cls) -> ConfusionMatrix:
        """The matrix of no pixel, to start a sum with."""
        return cls(torch.zeros(PARSE_CLASSES, PARSE_CLASSES, dtype=torch.int64))

    def __add__(self, other: ConfusionMatrix) -> ConfusionMatrix:
        return ConfusionMatrix(self.counts + other.counts)

    @property
    def accuracy(self) -> float:
        """The share of pixels with the right region, from 0 to 1; not a number when there is no pixel."""
        return float(self.counts.diagonal().sum() / self.counts.sum())

    def iou(self, *regions: int) -> float:
        """Intersection over union of one region, or of several taken as one, from 0 to 1; not a number when nobody has it."""
        merged = torch.tensor(regions)
        both = self.counts[merged][:, merged].sum()
        return float(both / (self.counts[merged].sum() + self.counts[:, merged].sum() - both))


def mean_iou(matrix: ConfusionMatrix, regions: Iterable[int]) -> float:
    """The mean intersection over union of these regions, from 0 to 1 (higher is better).

    Regions that neither side has are left out; InputError when that leaves none.
    """
    values = torch.tensor([matrix.iou(region) for region in regions], dtype=torch.float64)
    mean = float(values.nanmean())
    if mean != mean:  # not a number
        raise InputError("None of the regions occurs in the labels, so they have no mean IoU.")
    return mean
