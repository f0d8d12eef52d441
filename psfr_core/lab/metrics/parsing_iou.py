"""Compute the intersection over union (IoU) of predicted and true parse maps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...checks import check_shape
from ...errors import InputError
from ...networks.psfr_generator import PARSE_CLASSES


@dataclass(frozen=True, eq=False)  # comparing tensors does not give a single bool
class ConfusionMatrix:
    """Number of pixels by true region (row) and predicted region (column), int64 (19, 19) on the CPU.

    The IoU of a small region is noisy in a single image, so add the matrices of all images and evaluate the sum.
    """

    counts: Tensor

    def __post_init__(self) -> None:
        check_shape(self.counts, f"{PARSE_CLASSES} {PARSE_CLASSES}", "counts")

    @classmethod
    def of(cls, predicted: Tensor, true: Tensor) -> ConfusionMatrix:
        """Count the pixels of label maps (B, H, W) with labels from 0 to 18. Raise InputError for other shapes or labels."""
        check_shape(predicted, "B H W", "predicted")
        if predicted.shape != true.shape:
            shapes = f"{tuple(predicted.shape)} and {tuple(true.shape)}"
            raise InputError(f"predicted and true labels must have the same shape, got {shapes}.")
        for labels, name in ((predicted, "predicted"), (true, "true")):
            low, high = (int(bound) for bound in torch.aminmax(labels))
            if low < 0 or high >= PARSE_CLASSES:
                raise InputError(f"{name} labels must be from 0 to {PARSE_CLASSES - 1}, found {low} to {high}.")
        pairs = true.long() * PARSE_CLASSES + predicted.long()
        counts = torch.bincount(pairs.flatten(), minlength=PARSE_CLASSES**2)
        return cls(counts.view(PARSE_CLASSES, PARSE_CLASSES).cpu())

    @classmethod
    def empty(cls) -> ConfusionMatrix:
        """Return a matrix of zeros as the start value of a sum."""
        return cls(torch.zeros(PARSE_CLASSES, PARSE_CLASSES, dtype=torch.int64))

    def __add__(self, other: ConfusionMatrix) -> ConfusionMatrix:
        return ConfusionMatrix(self.counts + other.counts)

    @property
    def accuracy(self) -> float:
        """Fraction of correctly labeled pixels, 0 to 1; NaN without pixels."""
        return float(self.counts.diagonal().sum() / self.counts.sum())

    def iou(self, *regions: int) -> float:
        """Return the IoU of one region or of several merged regions, 0 to 1; NaN if none of them occurs in either map."""
        merged = torch.tensor(regions)
        both = self.counts[merged][:, merged].sum()
        return float(both / (self.counts[merged].sum() + self.counts[:, merged].sum() - both))


def mean_iou(matrix: ConfusionMatrix, regions: Iterable[int]) -> float:
    """Return the mean IoU of ``regions``, 0 to 1; higher is better.

    Regions that occur neither in the predictions nor in the true labels are skipped. Raises InputError if none remains.
    """
    values = torch.tensor([matrix.iou(region) for region in regions], dtype=torch.float64)
    mean = float(values.nanmean())
    if mean != mean:
        raise InputError("None of the regions occurs in the labels, so they have no mean IoU.")
    return mean
