"""From proposals to faces: nonsense is dropped, and of several proposals for one face the surest is kept."""

from __future__ import annotations

import torch
from torch import Tensor

from ..images.box import Size
from .proposals import Candidates

MAX_INSIDE = 0.8  # part of a box's area that may lie inside a surer one
MAX_CANDIDATES = 5000  # the surest ones; more only come from thresholds near 0


def non_maximum_suppression(candidates: Candidates, max_overlap: float) -> Candidates:
    """Return the candidates that greedy non-maximum suppression keeps, highest score first.

    None overlaps a surer one by more than ``max_overlap``, intersection over union, and none lies almost whole inside a
    surer one, as an eye or a mouth does that looks like a face.
    """
    remaining = candidates.sorted()
    remaining = remaining.select(
        torch.arange(min(len(remaining.scores), MAX_CANDIDATES), device=remaining.scores.device)
    )
    kept: list[Candidates] = []
    while len(remaining.scores):
        best = remaining.select(torch.tensor([0], device=remaining.scores.device))
        kept.append(best)
        box = best.boxes[0]
        is_other = (iou(box, remaining.boxes) <= max_overlap) & (containment(box, remaining.boxes) <= MAX_INSIDE)
        is_other[0] = False
        remaining = remaining.select(is_other)
    return Candidates.join(kept) if kept else remaining


def iou(box: Tensor, boxes: Tensor) -> Tensor:
    """Return the intersection over union (N,) of ``box`` (4,) with each of ``boxes`` (N, 4)."""
    shared = _intersections(box, boxes)
    return shared / (_areas(box) + _areas(boxes) - shared)


def containment(box: Tensor, boxes: Tensor) -> Tensor:
    """Return how much of the area of each of ``boxes`` (N, 4) lies inside ``box`` (4,), from 0 to 1."""
    return _intersections(box, boxes) / _areas(boxes)


def _intersections(box: Tensor, boxes: Tensor) -> Tensor:
    sides = torch.minimum(box[2:], boxes[:, 2:]) - torch.maximum(box[:2], boxes[:, :2])
    return sides.clamp(min=0).prod(dim=1)


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1)


def plausible(candidates: Candidates, size: Size, min_eye_distance: float) -> Candidates:
    """Return the candidates with finite values, a valid box centered in the image, and the minimum eye distance in pixels."""
    boxes, landmarks = candidates.boxes, candidates.landmarks
    is_finite = boxes.isfinite().all(dim=1) & landmarks.isfinite().all(dim=2).all(dim=1) & candidates.scores.isfinite()
    has_area = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    is_in_image = ((centers >= 0) & (centers < centers.new_tensor(size))).all(dim=1)
    eye_distance = (landmarks[:, 1] - landmarks[:, 0]).norm(dim=1)
    return candidates.select(is_finite & has_area & is_in_image & (eye_distance >= min_eye_distance))
