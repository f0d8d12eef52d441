"""Detect faces with the network that is bundled with this library."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..networks.compact_face_net import CompactFaceNet, CompactFaceNetOutput
from .network_detector import NetworkDetector
from .proposals import Candidates
from .pyramid import ScaleRange

DEFAULT_MIN_SCORE = 0.6
AVERAGED_CELLS = 5  # side of the square of cells whose boxes and landmarks are averaged
SCALE_RANGE = ScaleRange(max_face=160, coarsest_side=128)

# The origin of CompactFaceNet's boxes is the center of the top-left pixel. That of candidates' boxes is this pixel's outer corner.
_PIXEL_CENTER = 0.5


class CompactDetector(NetworkDetector[CompactFaceNet]):
    """Detector with a ``CompactFaceNet`` in eval mode. Local maxima of the score map are candidates."""

    default_min_score = DEFAULT_MIN_SCORE
    scale_range = SCALE_RANGE

    def propose(self, images: Tensor, min_score: float) -> list[Candidates]:
        cells = dense_predictions(CompactFaceNetOutput(*(tensor.float() for tensor in self.network(images))))
        is_found = cells.is_peak & (cells.scores >= min_score)
        return [
            Candidates(boxes[:, found].T, landmarks[:, found].T.unflatten(1, (5, 2)), score[found])
            for boxes, landmarks, score, found in zip(
                cells.boxes, cells.landmarks, cells.scores[:, 0], is_found[:, 0], strict=True
            )
        ]


class CellPredictions(NamedTuple):
    """Predictions of all cells. Boxes and landmarks have the origins of ``Candidates``."""

    scores: Tensor  # (B, 1, H/4, W/4) in [0, 1]
    is_peak: Tensor  # (B, 1, H/4, W/4): whether no neighbor has a higher score
    boxes: Tensor  # (B, 4, H/4, W/4)
    landmarks: Tensor  # (B, 10, H/4, W/4)


def dense_predictions(output: CompactFaceNetOutput) -> CellPredictions:
    """Return the scores of all cells, and their boxes and landmarks averaged over neighboring cells."""
    scores = torch.sigmoid(output.score_logits)
    is_peak = scores == F.max_pool2d(scores, 3, stride=1, padding=1)
    boxes, landmarks = (_weighted_average(values, scores) for values in (output.boxes, output.landmarks))
    return CellPredictions(scores, is_peak, boxes + _PIXEL_CENTER, landmarks)


def _weighted_average(values: Tensor, scores: Tensor) -> Tensor:
    """Average the predictions of neighboring cells, weighted by squared scores, to reduce noise."""
    weights = scores.clamp(min=1e-3).square()
    total = F.avg_pool2d(values * weights, AVERAGED_CELLS, stride=1, padding=AVERAGED_CELLS // 2)
    return total / F.avg_pool2d(weights, AVERAGED_CELLS, stride=1, padding=AVERAGED_CELLS // 2)
