"""Compute metrics of parse maps by region."""

from __future__ import annotations

from math import isnan
from statistics import fmean

from ...parsing.labels import MEASURED_REGIONS, RegionGroup
from ..metrics.parsing_iou import ConfusionMatrix, mean_iou
from .stage import Row

_PAIRS = (RegionGroup.EYES, RegionGroup.BROWS, RegionGroup.LIPS)


def region_row(matrix: ConfusionMatrix) -> Row:
    """Return the accuracy, the mean IoU, and the IoU of each region in ``MEASURED_REGIONS``.

    The row also has the IoU of the merged pairs (eyes, brows, lips) and the mean IoU with these pairs merged. The IoU of a
    region that occurs in neither map is NaN and is not averaged. Raises InputError if no measured region occurs.
    """
    regions = {region.name.lower(): matrix.iou(region) for region in sorted(MEASURED_REGIONS)}
    pairs = {group.value: matrix.iou(*group.regions) for group in _PAIRS}
    in_pairs = {region.name.lower() for group in _PAIRS for region in group.regions}
    merged = [iou for name, iou in (regions | pairs).items() if name not in in_pairs and not isnan(iou)]
    means = {
        "mean_iou": mean_iou(matrix, MEASURED_REGIONS),
        "mean_iou_pairs_merged": fmean(merged),
        "accuracy": matrix.accuracy,
    }
    return means | regions | pairs
