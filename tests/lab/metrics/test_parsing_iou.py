import math
import re

import pytest
import torch

from psfr_core.errors import InputError
from psfr_core.lab.metrics.parsing_iou import ConfusionMatrix, mean_iou

TRUE = torch.tensor([[[1, 1, 1, 4], [0, 0, 13, 13]]])
PREDICTED = torch.tensor([[[1, 1, 5, 4], [0, 13, 13, 13]]])


def random_labels(seed, shape=(2, 8, 8)):
    return torch.randint(19, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def test_iou_of_single_regions():
    matrix = ConfusionMatrix.of(PREDICTED, TRUE)
    assert matrix.iou(1) == pytest.approx(2 / 3)
    assert matrix.iou(4) == 1
    assert matrix.iou(5) == 0
    assert matrix.iou(0) == pytest.approx(1 / 2)
    assert matrix.iou(13) == pytest.approx(2 / 3)
    assert math.isnan(matrix.iou(7))
    assert matrix.iou(4, 5) == pytest.approx(1 / 2)  # both eyes merged: two pixels predicted, one of them correct
    assert matrix.iou(0, 13) == 1
    assert matrix.accuracy == pytest.approx(6 / 8)
    assert matrix.counts[1, 5] == 1  # skin predicted as an eye
    assert matrix.counts[5, 1] == 0


def test_mean_iou_skips_absent_regions():
    matrix = ConfusionMatrix.of(PREDICTED, TRUE)
    assert mean_iou(matrix, [1, 4, 7]) == pytest.approx((2 / 3 + 1) / 2)
    assert mean_iou(matrix, range(19)) == pytest.approx((1 / 2 + 2 / 3 + 1 + 0 + 2 / 3) / 5)
    with pytest.raises(InputError, match="None of the regions occurs"):
        mean_iou(matrix, [7, 8])


def test_sums_over_a_data_set_equal_one_big_image():
    predicted, true = random_labels(0), random_labels(1)
    whole = ConfusionMatrix.of(predicted, true)
    parts = sum((ConfusionMatrix.of(predicted[n : n + 1], true[n : n + 1]) for n in range(2)), ConfusionMatrix.empty())
    assert torch.equal(whole.counts, parts.counts)
    assert whole.counts.sum() == predicted.numel()
    for region in range(19):
        is_true, is_predicted = true == region, predicted == region
        expected = float((is_true & is_predicted).sum() / (is_true | is_predicted).sum())
        assert whole.iou(region) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("predicted", "true", "words"),
    [
        (TRUE[0], TRUE[0], "predicted must have the shape (B, H, W), got (2, 4)"),
        (TRUE, TRUE[:, :1], "must have the same shape, got (1, 2, 4) and (1, 1, 4)"),
        (TRUE, TRUE + 10, "true labels must be from 0 to 18, found 10 to 23"),
        (TRUE - 1, TRUE, "predicted labels must be from 0 to 18, found -1 to 12"),
    ],
)
def test_invalid_labels_are_reported(predicted, true, words):
    with pytest.raises(InputError, match=re.escape(words)):
        ConfusionMatrix.of(predicted, true)
