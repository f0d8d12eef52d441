"""Hold the proposals of a detection network before non-maximum suppression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..images.box import Box
from .face import Face


@dataclass(frozen=True, eq=False)  # comparing tensors does not yield a single bool
class Candidates:
    """The N proposals in one image: boxes (N, 4) as left, top, right, bottom, landmarks (N, 5, 2) as x, y, and scores (N,).

    The origin of boxes is the outer corner of the top-left pixel, and the origin of landmarks is the center of this pixel.
    """

    boxes: Tensor
    landmarks: Tensor
    scores: Tensor

    @staticmethod
    def join(parts: Sequence[Candidates]) -> Candidates:
        """Join the proposals of ``parts``, which belong to the same image."""
        return Candidates(
            torch.cat([part.boxes for part in parts]),
            torch.cat([part.landmarks for part in parts]),
            torch.cat([part.scores for part in parts]),
        )

    def select(self, index: Tensor) -> Candidates:
        """Return the proposals at ``index``, which contains positions or a mask."""
        return Candidates(self.boxes[index], self.landmarks[index], self.scores[index])

    def on_cpu(self) -> Candidates:
        """Return the proposals as float32 tensors on the CPU."""
        boxes, landmarks, scores = (
            tensor.detach().float().cpu() for tensor in (self.boxes, self.landmarks, self.scores)
        )
        return Candidates(boxes, landmarks, scores)

    def mapped(self, scale: tuple[float, float], shift: tuple[float, float]) -> Candidates:
        """Return the proposals after a resize of their image by ``scale`` (x, y) and a shift by ``shift`` (x, y) pixels."""
        factor, offset = self.boxes.new_tensor(scale), self.boxes.new_tensor(shift)
        boxes = self.boxes * factor.repeat(2) + offset.repeat(2)
        return Candidates(boxes, (self.landmarks + 0.5) * factor - 0.5 + offset, self.scores)

    def quarter_turned(self, height: float) -> Candidates:
        """Rotate the proposals by 90 degrees clockwise together with their image, which is ``height`` pixels high."""
        left, top, right, bottom = self.boxes.unbind(dim=1)
        x, y = self.landmarks.unbind(dim=2)
        boxes = torch.stack([height - bottom, left, height - top, right], dim=1)
        return Candidates(boxes, torch.stack([height - 1 - y, x], dim=2), self.scores)

    def sorted(self) -> Candidates:
        """Return the proposals sorted by descending score. Equal scores are sorted by top and then by left."""
        order = torch.arange(len(self.scores), device=self.scores.device)
        for key in (self.boxes[:, 0], self.boxes[:, 1], -self.scores):
            order = order[key[order].argsort(stable=True)]
        return self.select(order)

    def to_faces(self) -> list[Face]:
        """Return one face for each proposal, in the same order."""
        boxes: list[list[float]] = self.boxes.tolist()
        scores: list[float] = self.scores.tolist()
        return [
            Face(Box(*box), points, score) for box, points, score in zip(boxes, self.landmarks, scores, strict=True)
        ]
