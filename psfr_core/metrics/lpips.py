"""LPIPS, the learned distance of two pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from .image_features import (
    Backbone,
    ImageFeatures,
    build_image_features,
    read_backbone,
    read_tensors,
    recognize_backbone,
)
from .image_pair import check_pair

_TAPS = {
    Backbone.ALEXNET: ("relu1", "relu2", "relu3", "relu4", "relu5"),
    Backbone.VGG16: ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"),
}
_HEAD_CHANNELS = {Backbone.ALEXNET: (64, 192, 384, 256, 256), Backbone.VGG16: (64, 128, 256, 512, 512)}


class Lpips(nn.Module):
    """LPIPS v0.1 (lower is better, 0 for equal pictures): the weighted distance of their unit-length activations.

    Source: Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, equation 1.
    """

    def __init__(self, features: ImageFeatures, heads: Sequence[Tensor]) -> None:
        super().__init__()
        self.features = features
        self.heads = nn.ParameterList(nn.Parameter(head, requires_grad=False) for head in heads)

    def forward(self, images: Tensor, references: Tensor) -> Tensor:
        """The distances (B,) of image pairs (B, 3, H, W), RGB in [0, 1]; differentiable in both."""
        check_pair(images, references)
        distance = images.new_zeros(len(images))
        for one, other, head in zip(self.features(images), self.features(references), self.heads, strict=True):
            squared = (_unit_length(one) - _unit_length(other)) ** 2
            distance = distance + torch.einsum("bchw,c->bhw", squared, head).mean(dim=(1, 2))
        return distance


def load_lpips(features_path: str | Path, heads_path: str | Path) -> Lpips:
    """LPIPS from a file of torchvision's AlexNet or VGG-16 and the file of LPIPS v0.1 heads that belongs to it.

    Raises CheckpointError when a file is something else, or the two do not belong together.
    """
    features_path, heads_path = Path(features_path), Path(heads_path)
    heads = _heads(heads_path)
    channels = tuple(len(head) for head in heads)
    backbone = next((backbone for backbone, expected in _HEAD_CHANNELS.items() if expected == channels), None)
    if backbone is None:
        raise CheckpointError(
            f"{heads_path.name} has LPIPS heads of {channels} channels, neither AlexNet's nor VGG-16's."
        )
    weights = read_backbone(features_path)
    if (found := recognize_backbone(features_path, weights)) is not backbone:
        raise CheckpointError(
            f"{heads_path.name} belongs to {backbone.value}, but {features_path.name} is {found.value}. "
            "Give files of one network."
        )
    return Lpips(build_image_features(features_path, weights, _TAPS[backbone]), heads).eval()


def _heads(path: Path) -> list[Tensor]:
    """The weights (C,) of each layer's channels, as named in the published files (``lin0.model.1.weight``)."""
    tensors = read_tensors(path)
    names = [f"lin{layer}.model.1.weight" for layer in range(5)]
    missing = [name for name in names if name not in tensors]
    if missing:
        keys = ", ".join(list(tensors)[:3])
        raise CheckpointError(f"{path.name} holds no LPIPS heads: it has no {missing[0]} (first keys: {keys}).")
    return [tensors[name].flatten() for name in names]


def _unit_length(features: Tensor) -> Tensor:
    # Inside the root, the small number keeps the gradient finite where all activations are 0.
    return features / (features.square().sum(dim=1, keepdim=True) + 1e-8).sqrt()
