"""Training of the face parsing network: cross-entropy on the labels and L1 on the reconstructed face (paper, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..metrics.parsing_iou import ConfusionMatrix, mean_iou
from ..networks.parse_net import ParseNet
from ..parsing.labels import FaceRegion
from .faces import DegradedFaces

RECONSTRUCTION_WEIGHT = 0.5
# Small regions count for more: each class is weighted by a root of its rarity, within these limits.
CLASS_WEIGHT_LIMITS = (0.5, 4.0)
MEASURED_REGIONS = (
    FaceRegion.BACKGROUND,
    FaceRegion.SKIN,
    FaceRegion.NOSE,
    FaceRegion.LEFT_EYE,
    FaceRegion.RIGHT_EYE,
    FaceRegion.LEFT_BROW,
    FaceRegion.RIGHT_BROW,
    FaceRegion.MOUTH,
    FaceRegion.UPPER_LIP,
    FaceRegion.LOWER_LIP,
    FaceRegion.HAIR,
)


def class_weights(labels: Tensor) -> Tensor:
    """Weights (19,) for the cross-entropy, from labels (N, H, W) of the training set."""
    counts = torch.bincount(labels.flatten().long(), minlength=len(FaceRegion)).float()
    rarity = (counts.sum() / counts.clamp(min=1)) ** 0.25
    common = (rarity * counts).sum() / counts.sum()
    return (rarity / common).clamp(*CLASS_WEIGHT_LIMITS)


class ParserTrainee:
    """A parsing network with its data and losses."""

    def __init__(
        self, network: ParseNet, train_faces: DegradedFaces, weights: Tensor, validation: DegradedFaces, count: int
    ) -> None:
        self.device = next(network.parameters()).device
        self.network = network
        self._train_faces = train_faces
        self._weights = weights.to(self.device)
        self._validation = [validation[index] for index in range(count)]

    def losses(self, indices: range) -> dict[str, Tensor]:
        lq, hq, labels = (part.to(self.device) for part in self._train_faces.batch(indices))
        logits, image = self.network((lq * 2 - 1).to(memory_format=torch.channels_last))
        parsing = F.cross_entropy(logits.float(), labels, self._weights)
        reconstruction = F.l1_loss(image.float(), hq * 2 - 1)
        total = parsing + RECONSTRUCTION_WEIGHT * reconstruction
        return {"total": total, "cross_entropy": parsing, "reconstruction_l1": reconstruction}

    @torch.no_grad()
    def validate(self, network: ParseNet) -> dict[str, float]:
        confusion = ConfusionMatrix.empty()
        for lq, _, labels in self._validation:
            logits, _ = network(lq[None].to(self.device) * 2 - 1)
            confusion += ConfusionMatrix.of(logits.argmax(1).cpu(), labels[None])
        return {"mean_iou": mean_iou(confusion, MEASURED_REGIONS), "accuracy": confusion.accuracy}

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        pass
