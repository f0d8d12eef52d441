"""Train the face parsing network with cross-entropy and Dice losses on labels, and an L1 loss on the reconstructed face.

The Dice term is not in the paper (section 3.2). It improves small regions when faces are few and heavily degraded.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import OptionError
from ...networks.parse_net import ParseNet
from ...options import option
from ...parsing.labels import MEASURED_REGIONS
from ...parsing.parse_map import ParseMap
from ...visualize import side_by_side
from ..metrics.parsing_iou import ConfusionMatrix, mean_iou
from .face_samples import FaceSample, FaceSamples
from .task import MAX_PREVIEW_FACES, TrainingTask


@dataclass(frozen=True)
class ParserLossConfig:
    """Weights of the terms that are added to the cross-entropy. A weight of 0 omits a term.

    Raises OptionError for negative weights.
    """

    dice: float = option(1.0, "weight of the Dice loss, which is not in the paper")
    reconstruction: float = option(0.5, "weight of the L1 loss on the reconstructed face")

    def __post_init__(self) -> None:
        if min(self.dice, self.reconstruction) < 0:
            raise OptionError(f"Loss weights must not be negative, got {self}.")


def dice_loss(parse_logits: Tensor, labels: Tensor) -> Tensor:
    """Return one minus the mean Dice coefficient of the regions in ``labels``, computed over the whole batch.

    Small and large regions have equal weight. ``parse_logits`` are (B, 19, H, W) float, ``labels`` (B, H, W) int64.
    Source: Milletari et al., V-Net (2016), section 3.
    """
    predicted = parse_logits.softmax(dim=1)
    true = F.one_hot(labels, predicted.shape[1]).movedim(-1, 1)
    overlap = (predicted * true).sum(dim=(0, 2, 3))
    area = true.sum(dim=(0, 2, 3))
    dice = 2 * overlap / (predicted.sum(dim=(0, 2, 3)) + area).clamp(min=1)
    present = area > 0
    return 1 - (dice * present).sum() / present.sum()


class ParserTask(TrainingTask[ParseNet]):
    """Training of a parsing network."""

    def __init__(
        self,
        network: ParseNet,
        train_faces: FaceSamples,
        weights: ParserLossConfig,
        validation: FaceSample,
    ) -> None:
        super().__init__(network, train_faces)
        self._weights = weights
        self._validation = validation

    def forward(self, batch: FaceSample, step: int) -> dict[str, Tensor]:
        lq, hq, labels = (part.to(self.device, non_blocking=True) for part in batch)
        logits, image = self.network((lq * 2 - 1).to(memory_format=torch.channels_last))
        terms = {
            "cross_entropy": F.cross_entropy(logits.float(), labels),
            "dice": self._weights.dice * dice_loss(logits.float(), labels),
            "reconstruction_l1": self._weights.reconstruction * F.l1_loss(image.float(), hq * 2 - 1),
        }
        return {"total": torch.stack(list(terms.values())).sum(), **terms}

    @torch.no_grad()
    def validate(self, network: ParseNet) -> dict[str, float]:
        confusion = ConfusionMatrix.empty()
        for lq, _, labels in zip(*self._validation, strict=True):
            logits, _ = network(lq[None].to(self.device) * 2 - 1)
            confusion += ConfusionMatrix.of(logits.argmax(1).cpu(), labels[None])
        return {"mean_iou": mean_iou(confusion, MEASURED_REGIONS), "accuracy": confusion.accuracy}

    @torch.no_grad()
    def preview(self, network: ParseNet) -> Tensor:
        """Return an image with the degraded face, the predicted parse map and the true parse map of each face in one row."""
        rows: list[Tensor] = []
        for lq, _, labels in zip(*(part[:MAX_PREVIEW_FACES] for part in self._validation), strict=True):
            logits, _ = network(lq[None].to(self.device) * 2 - 1)
            true = ParseMap(labels[None].to(torch.uint8))
            rows.append(side_by_side([lq, ParseMap.from_logits(logits.cpu()).to_color()[0], true.to_color()[0]]))
        return torch.cat(rows, dim=1)
