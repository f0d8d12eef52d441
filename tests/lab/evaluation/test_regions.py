from __future__ import annotations

import pytest
import torch

from psfr_core.lab.evaluation.regions import region_row
from psfr_core.lab.metrics.parsing_iou import ConfusionMatrix
from psfr_core.parsing.labels import FaceRegion


def test_regions_in_neither_map_are_not_averaged() -> None:
    true = torch.full((1, 4, 4), int(FaceRegion.SKIN))
    true[:, :2] = int(FaceRegion.LEFT_EYE)
    predicted = true.clone()
    predicted[:, 0] = int(FaceRegion.RIGHT_EYE)
    row = region_row(ConfusionMatrix.of(predicted, true))
    assert (row["skin"], row["left_eye"], row["right_eye"], row["eyes"]) == (1, 0.5, 0, 1)
    assert row["mean_iou"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert row["mean_iou_pairs_merged"] == 1
    assert torch.tensor(row["mouth"]).isnan()
