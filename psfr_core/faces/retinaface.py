"""Detect faces with facexlib's RetinaFace network.

Deng et al., 2020, "RetinaFace: Single-shot Multi-level Face Localization in the Wild".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .network_detector import NetworkDetector
from .proposals import Candidates
from .pyramid import ScaleRange

DEFAULT_MIN_SCORE = 0.9

_MEAN_BGR = (104.0, 117.0, 123.0)  # mean color of ImageNet from 0 to 255, as in training
_ANCHOR_SIDES_OF_STRIDE = {8: (16, 32), 16: (64, 128), 32: (256, 512)}  # pixels
# The origin of the network's coordinates is the outer corner of the top-left pixel. With any other origin, the landmarks of an
# image and of its mirror image disagree. facexlib ignores this, so its landmarks are half a pixel too far to the right and down.
_PIXEL_CENTER = 0.5
_CENTER_UNIT, _SIDE_UNIT = 0.1, 0.2  # the "variances" by which offsets were divided in training


class RetinaFaceDetector(NetworkDetector[nn.Module]):
    """Detector with facexlib's ``RetinaFace`` network (resnet50 or mobile0.25) in eval mode and test phase."""

    default_min_score = DEFAULT_MIN_SCORE
    scale_range = ScaleRange()

    def propose(self, images: Tensor, min_score: float) -> list[Candidates]:
        box_offsets, class_scores, landmark_offsets = (tensor.float() for tensor in self.network(network_input(images)))
        anchors = anchors_for(images.shape[-2], images.shape[-1], images.device)
        candidates: list[Candidates] = []
        for boxes, points, scores in zip(box_offsets, landmark_offsets, class_scores[..., 1], strict=True):
            found = scores >= min_score
            candidates.append(Candidates(*decode(boxes[found], points[found], anchors[found]), scores[found]))
        return candidates


def network_input(images: Tensor) -> Tensor:
    """Convert images (B, 3, H, W), RGB in [0, 1], to BGR from 0 to 255 minus the mean color."""
    return images.flip(1) * 255 - images.new_tensor(_MEAN_BGR).view(3, 1, 1)


def anchors_for(height: int, width: int, device: torch.device) -> Tensor:
    """Return the anchors (N, 3) of an image whose sides are multiples of 32, as center x, center y, side in pixels.

    They have the order of the network's predictions: fine to coarse, row by row, small before large anchors.
    """
    levels: list[Tensor] = []
    for stride, sides in _ANCHOR_SIDES_OF_STRIDE.items():
        y = (torch.arange(height // stride, device=device) + 0.5) * stride
        x = (torch.arange(width // stride, device=device) + 0.5) * stride
        side = torch.tensor(sides, device=device, dtype=torch.float32)
        levels.append(torch.stack(torch.meshgrid(y, x, side, indexing="ij"), dim=-1).reshape(-1, 3))
    return torch.cat(levels)[:, [1, 0, 2]]


def decode(box_offsets: Tensor, landmark_offsets: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
    """Convert offsets relative to N ``anchors`` into boxes (..., N, 4) and landmarks (..., N, 5, 2) as in ``Candidates``."""
    centers, sides = anchors[:, :2], anchors[:, 2:]
    box_centers = centers + _CENTER_UNIT * box_offsets[..., :2] * sides
    half_sizes = sides * torch.exp(_SIDE_UNIT * box_offsets[..., 2:]) / 2
    boxes = torch.cat([box_centers - half_sizes, box_centers + half_sizes], dim=-1)
    landmarks = centers[:, None] + _CENTER_UNIT * landmark_offsets.unflatten(-1, (5, 2)) * sides[:, None]
    return boxes, landmarks - _PIXEL_CENTER
