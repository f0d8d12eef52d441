"""Combine networks with the pre- and post-processing that is exported with them.

All inputs and outputs are float32 or uint8, even if the network computes in float16. Images are RGB in [0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..faces import retinaface
from ..faces.compact import dense_predictions
from ..networks.compact_face_net import CompactFaceNet, decode
from ..networks.face_restorer import FaceRestorer
from ..networks.parse_net import ParseNet
from ..networks.psfr_generator import PARSE_CLASSES


class RestorerGraph(nn.Module):
    """Export graph of a face restorer that does not use parse maps."""

    def __init__(self, network: FaceRestorer) -> None:
        super().__init__()
        self.network = network

    def forward(self, faces: Tensor) -> Tensor:
        """Return the restored ``faces`` (B, 3, S, S)."""
        return _to_unit_range(self.network(_to_network_range(faces, self.network), None))


class GeneratorGraph(nn.Module):
    """Export graph of a generator that uses parse maps."""

    def __init__(self, network: FaceRestorer) -> None:
        super().__init__()
        self.network = network

    def forward(self, faces: Tensor, labels: Tensor) -> Tensor:
        """Return the restored ``faces`` (B, 3, S, S), whose regions are given by ``labels`` (B, S, S), uint8."""
        lq = _to_network_range(faces, self.network)
        regions = torch.arange(PARSE_CLASSES, dtype=torch.uint8, device=labels.device)
        one_hot = labels[:, None] == regions[:, None, None]
        return _to_unit_range(self.network(lq, one_hot.to(lq.dtype)))


class ParserGraph(nn.Module):
    """Export graph of a face parsing network."""

    def __init__(self, network: ParseNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """Return the region labels (B, S, S), uint8, and the scores (B, 19, S, S) of all regions, for ``faces`` (B, 3, S, S)."""
        scores = self.network.parse_logits(_to_network_range(faces, self.network)).float()
        return scores.argmax(dim=1).to(torch.uint8), scores


class CompactDetectorGraph(nn.Module):
    """Export graph of the bundled face detector."""

    def __init__(self, network: CompactFaceNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores (B, N), boxes (B, N, 4) and landmarks (B, N, 5, 2) of the N cells of ``images`` (B, 3, H, W).

        Boxes and landmarks are in pixels. Cells that are not local maxima have the score 0. Coordinates are computed in float32,
        because float16 cannot represent fractions above 1024.
        """
        raw = self.network.predict(images.to(_dtype_of(self.network))).float()
        cells = dense_predictions(decode(raw))
        scores = (cells.scores * cells.is_peak).flatten(1)
        boxes, landmarks = (values.flatten(2).transpose(1, 2) for values in (cells.boxes, cells.landmarks))
        return scores, boxes, landmarks.unflatten(2, (5, 2))


class RetinaFaceGraph(nn.Module):
    """Export graph of facexlib's RetinaFace."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores (B, N), boxes (B, N, 4) and landmarks (B, N, 5, 2) of the N anchors of ``images`` (B, 3, H, W).

        Boxes and landmarks are in pixels.
        """
        inputs = retinaface.network_input(images).to(_dtype_of(self.network))
        box_offsets, class_scores, landmark_offsets = (values.float() for values in self.network(inputs))
        anchors = retinaface.anchors_for(images.shape[-2], images.shape[-1], images.device)
        return class_scores[..., 1], *retinaface.decode(box_offsets, landmark_offsets, anchors)


def _to_network_range(faces: Tensor, network: nn.Module) -> Tensor:
    return (faces.clamp(0, 1) * 2 - 1).to(_dtype_of(network))


def _to_unit_range(faces: Tensor) -> Tensor:
    return (faces.float().clamp(-1, 1) + 1) / 2


def _dtype_of(network: nn.Module) -> torch.dtype:
    return next(network.parameters()).dtype
