"""The detector bundled with this library."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_type
from ..networks.compact_face_net import CompactFaceNet, CompactFaceNetOutput
from ..progress import Progress
from .detection_options import DetectionOptions
from .face import Face
from .proposals import Candidates
from .pyramid import ScaleRange
from .search import search_faces

DEFAULT_MIN_SCORE = 0.6
AGREEING_CELLS = 5  # side of the square of cells whose boxes and landmarks are averaged
SCALE_RANGE = ScaleRange(max_face=160, coarsest_side=128)

_CENTER = 0.5  # CompactFaceNet's boxes count from the center of the top-left pixel, candidates' from its corner


class CompactDetector:
    """Detector with a ``CompactFaceNet`` in eval mode; a face is a local maximum of its score map."""

    def __init__(self, network: CompactFaceNet, options: DetectionOptions | None = None) -> None:
        self.network = network
        self.options = options or DetectionOptions()

    def detect(
        self, images: Tensor, options: DetectionOptions | None = None, *, progress: Progress | None = None
    ) -> list[list[Face]]:
        """See ``FaceDetector``; ``options`` None stands for those of the detector."""
        options = self.options if options is None else options
        check_type(options, DetectionOptions, "options")
        min_score = DEFAULT_MIN_SCORE if options.min_score is None else options.min_score
        propose = partial(self._propose, min_score=min_score)
        return search_faces(images, self.network, propose, options, SCALE_RANGE, progress=progress)

    def _propose(self, images: Tensor, min_score: float) -> list[Candidates]:
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
