"""Reduce proposals to faces: drop implausible proposals, and keep the one with the highest score for each face."""

from __future__ import annotations

import torch
from torch import Tensor

from ..images.box import Size
from .proposals import Candidates

MAX_INSIDE = 0.8  # maximum fraction of a box's area inside a box with a higher score
MAX_CANDIDATES = 5000  # the highest scores are kept; only thresholds near 0 yield more candidates


def non_maximum_suppression(candidates: Candidates, max_overlap: float) -> Candidates:
    """Return the candidates that greedy non-maximum suppression keeps, highest score first.

    A candidate is dropped if its IoU with a kept candidate of a higher score exceeds ``max_overlap``. It is also dropped if it lies
    almost completely inside such a candidate, like an eye or a mouth that resembles a face.
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
    """Return the fraction (N,) of the area of each of ``boxes`` (N, 4) that lies inside ``box`` (4,)."""
    return _intersections(box, boxes) / _areas(boxes)


def _intersections(box: Tensor, boxes: Tensor) -> Tensor:
    sides = torch.minimum(box[2:], boxes[:, 2:]) - torch.maximum(box[:2], boxes[:, :2])
    return sides.clamp(min=0).prod(dim=1)


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1)


def plausible(candidates: Candidates, size: Size, min_eye_distance: float) -> Candidates:
    """Return the candidates with finite values, a box of positive size, and at least ``min_eye_distance`` pixels between the eyes.

    The center of the box must lie in the image of ``size``.
    """
    boxes, landmarks = candidates.boxes, candidates.landmarks
    is_finite = boxes.isfinite().all(dim=1) & landmarks.isfinite().all(dim=2).all(dim=1) & candidates.scores.isfinite()
    has_area = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    is_in_image = ((centers >= 0) & (centers < centers.new_tensor(size))).all(dim=1)
    eye_distance = (landmarks[:, 1] - landmarks[:, 0]).norm(dim=1)
    return candidates.select(is_finite & has_area & is_in_image & (eye_distance >= min_eye_distance))
