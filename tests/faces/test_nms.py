"""Test overlaps, non-maximum suppression, and the filter before it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from psfr_core.faces.nms import containment, iou, non_maximum_suppression, plausible
from psfr_core.faces.proposals import Candidates
from psfr_core.images.box import Size


def candidates(boxes: Tensor, scores: Tensor) -> Candidates:
    eyes = torch.tensor([[0.0, 0], [20, 0], [10, 5], [3, 10], [17, 10]])
    return Candidates(boxes, boxes[:, None, :2] + eyes, scores)


def test_overlap_is_intersection_over_union() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [0, 0, 5, 5], [20, 20, 30, 30], [10, 0, 20, 10]])
    torch.testing.assert_close(iou(boxes[0], boxes), torch.tensor([1, 1 / 3, 1 / 4, 0, 0]))


def test_containment_is_the_fraction_of_the_other_box() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [0, 0, 5, 5], [20, 20, 30, 30], [-10, -10, 10, 10]])
    torch.testing.assert_close(containment(boxes[0], boxes), torch.tensor([1, 0.5, 1, 0, 0.25]))


def reference_suppression(boxes: Tensor, scores: Tensor, max_overlap: float) -> list[int]:
    kept: list[int] = []
    for index in scores.argsort(descending=True).tolist():
        one = boxes[index][None]
        overlap = max((float(iou(boxes[other], one)) for other in kept), default=0)
        inside = max((float(containment(boxes[other], one)) for other in kept), default=0)
        if overlap <= max_overlap and inside <= 0.8:
            kept.append(index)
    return kept


@pytest.mark.parametrize("seed", range(8))
def test_suppression_is_greedy(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(60, 2, generator=generator) * 50
    boxes = torch.cat([corners, corners + 5 + 20 * torch.rand(60, 2, generator=generator)], dim=1)
    scores = torch.randperm(60, generator=generator).float() / 60
    kept = non_maximum_suppression(candidates(boxes, scores), 0.3)
    expected = reference_suppression(boxes, scores, 0.3)
    assert 5 < len(expected) < 55
    assert torch.equal(kept.boxes, boxes[expected])
    assert torch.equal(kept.landmarks, candidates(boxes, scores).landmarks[expected])
    assert torch.equal(kept.scores, scores[expected])


def test_a_box_inside_a_face_is_dropped_and_an_overlapping_face_is_kept() -> None:
    face, eye, child, around = [0.0, 0, 100, 100], [20.0, 30, 45, 52], [70.0, 40, 130, 110], [-60.0, -60, 160, 160]
    kept = non_maximum_suppression(
        candidates(torch.tensor([face, eye, child, around]), torch.tensor([0.9, 0.8, 0.7, 0.6])), 0.4
    )
    # A box with a higher score does not suppress the larger box around it.
    assert kept.boxes.tolist() == [face, child, around]


def test_equal_scores_are_ordered_by_position() -> None:
    corners = torch.tensor([[100.0, 50], [0, 50], [200, 0], [0, 200]])
    boxes = torch.cat([corners, corners + 30], dim=1)
    scores = torch.tensor([0.5, 0.5, 0.5, 0.9])
    expected = [[0, 200], [200, 0], [0, 50], [100, 50]]
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        kept = non_maximum_suppression(candidates(boxes[order], scores[order]), 0.4)
        assert kept.boxes[:, :2].tolist() == expected


def test_no_candidates_give_no_faces() -> None:
    assert non_maximum_suppression(candidates(torch.zeros(0, 4), torch.zeros(0)), 0.4).to_faces() == []


@pytest.mark.parametrize(
    ("box", "score", "is_kept"),
    [
        ((10.0, 10, 40, 40), 0.5, True),
        ((-14.0, 10, 40, 40), 0.5, True),
        ((-50.0, 10, 40, 40), 0.5, False),  # center left of the image
        ((80.0, 10, 130, 40), 0.5, False),  # center right of the image
        ((80.0, 10, 80, 40), 0.5, False),
        ((40.0, 10, 10, 40), 0.5, False),
        ((10.0, 10, float("inf"), 40), 0.5, False),
        ((10.0, 10, 40, 40), float("nan"), False),
    ],
)
def test_impossible_boxes_are_dropped(box: tuple[float, ...], score: float, is_kept: bool) -> None:
    one = candidates(torch.tensor([box]), torch.tensor([score]))
    assert len(plausible(one, Size(100, 60), 5.0).scores) == is_kept


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_faces_with_too_small_an_eye_distance_are_dropped(is_mirrored: bool) -> None:
    """Use a head turned to the side, whose nose is below one eye, and its mirror image. Their eye distance is 40."""
    turned = torch.tensor([[30.0, 40], [70, 40], [70, 55], [45, 70], [68, 70]])
    if is_mirrored:
        turned = (torch.tensor([99.0, 0]) - turned * torch.tensor([1.0, -1]))[[1, 0, 2, 4, 3]]
    one = Candidates(torch.tensor([[20.0, 20, 80, 80]]), turned[None], torch.tensor([0.9]))
    assert len(plausible(one, Size(100, 100), 40.0).scores) == 1
    assert len(plausible(one, Size(100, 100), 40.1).scores) == 0
