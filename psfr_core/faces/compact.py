"""The detector bundled with this library."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..networks.compact_face_net import CompactFaceNet, CompactFaceNetOutput
from .network_detector import NetworkDetector
from .proposals import Candidates
from .pyramid import ScaleRange

DEFAULT_MIN_SCORE = 0.6
AGREEING_CELLS = 5  # side of the square of cells whose boxes and landmarks are averaged
SCALE_RANGE = ScaleRange(max_face=160, coarsest_side=128)

_CENTER = (
    0.5  # the origin of CompactFaceNet's boxes is the center of the top-left pixel; that of candidates, its corner
)


class CompactDetector(NetworkDetector[CompactFaceNet]):
    """Detector with a ``CompactFaceNet`` in eval mode; a face is a local maximum of its score map."""

    default_min_score = DEFAULT_MIN_SCORE
    scale_range = SCALE_RANGE

    def propose(self, images: Tensor, min_score: float) -> list[Candidates]:
        output = CompactFaceNetOutput(*(tensor.float() for tensor in self.network(images)))
        scores = torch.sigmoid(output.score_logits)
        is_peak = (scores == F.max_pool2d(scores, 3, stride=1, padding=1)) & (scores >= min_score)
        all_boxes, all_landmarks = (_weighted_average(values, scores) for values in (output.boxes, output.landmarks))
        return [
            Candidates(boxes[:, peak].T + _CENTER, landmarks[:, peak].T.unflatten(1, (5, 2)), score[peak])
            for boxes, landmarks, score, peak in zip(all_boxes, all_landmarks, scores[:, 0], is_peak[:, 0], strict=True)
        ]


def _weighted_average(values: Tensor, scores: Tensor) -> Tensor:
    """Average the predictions of neighboring cells, weighted by squared scores, which reduces their noise."""
    weights = scores.clamp(min=1e-3).square()
    total = F.avg_pool2d(values * weights, AGREEING_CELLS, stride=1, padding=AGREEING_CELLS // 2)
    return total / F.avg_pool2d(weights, AGREEING_CELLS, stride=1, padding=AGREEING_CELLS // 2)
