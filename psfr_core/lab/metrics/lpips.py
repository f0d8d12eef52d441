"""Compute LPIPS, a learned perceptual distance between images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ...checks import check_pair
from ...errors import CheckpointError
from ...models.state_dict import read_tensors
from ...networks.inference.autocast import without_autocast
from .image_features import (
    Backbone,
    ImageFeatures,
    build_image_features,
    read_backbone,
    recognize_backbone,
)
from .metric import Metric, paired_metric

_TAPS = {
    Backbone.ALEXNET: ("relu1", "relu2", "relu3", "relu4", "relu5"),
    Backbone.VGG16: ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"),
}
_HEAD_CHANNELS = {Backbone.ALEXNET: (64, 192, 384, 256, 256), Backbone.VGG16: (64, 128, 256, 512, 512)}


class Lpips(nn.Module):
    """LPIPS v0.1: the weighted squared distance between unit-length activations; lower is better, 0 for equal images.

    ``features`` must tap the layers of LPIPS and may tap other layers as well. ``heads`` are the channel weights (C,) of the
    layers of LPIPS.
    Source: Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric (2018), equation 1.
    """

    def __init__(self, features: ImageFeatures, heads: Sequence[Tensor]) -> None:
        super().__init__()
        self.features = features
        self.heads = nn.ParameterList(nn.Parameter(head, requires_grad=False) for head in heads)

    def forward(self, images: Tensor, references: Tensor) -> Tensor:
        """Return the distances (B,) between paired images (B, 3, H, W), RGB in [0, 1]. Both inputs receive gradients.

        Raises InputError if the shapes differ, and for images that ``ImageFeatures`` does not accept.
        """
        check_pair(images, references)
        with without_autocast(images.device):
            return self.compare(self.features(images), self.features(references))

    def compare(self, of_images: Mapping[str, Tensor], of_references: Mapping[str, Tensor]) -> Tensor:
        """Return the distances (B,) between activations of images and references that ``features`` has computed."""
        distances: list[Tensor] = []
        for tap, head in zip(_TAPS[self.features.backbone], self.heads, strict=True):
            squared = (_unit_length(of_images[tap]) - _unit_length(of_references[tap])) ** 2
            distances.append(torch.einsum("bchw,c->bhw", squared, head).mean(dim=(1, 2)))
        return torch.stack(distances).sum(dim=0)


def lpips_metric(lpips: Lpips) -> Metric:
    """Return ``lpips`` as a per-image metric."""
    return paired_metric("lpips", lpips, higher_is_better=False)


def load_lpips(features_path: str | Path, heads_path: str | Path, more_taps: Sequence[str] = ()) -> Lpips:
    """Load LPIPS from a file of torchvision's AlexNet or VGG-16 and the file of its LPIPS v0.1 heads.

    ``features_path`` may also be the name of a backbone: see ``read_backbone``. The features also tap the layers ``more_taps``,
    for use by other metrics and losses. Raises ModelNotFoundError if a file does not exist, CheckpointError if a file has other
    contents or the two files do not match, DownloadError if a download fails, and OptionError for unknown taps.
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
            "Use two files of the same network."
        )
    return Lpips(build_image_features(features_path, weights, (*_TAPS[backbone], *more_taps)), heads).eval()


def _heads(path: Path) -> list[Tensor]:
    """Read the channel weights (C,) of each layer from ``path``, where they have the published names.

    Raises CheckpointError if ``lin0.model.1.weight`` to ``lin4.model.1.weight`` are not all in the file.
    """
    tensors = read_tensors(path)
    names = [f"lin{layer}.model.1.weight" for layer in range(5)]
    missing = [name for name in names if name not in tensors]
    if missing:
        keys = ", ".join(list(tensors)[:3])
        raise CheckpointError(
            f"{path.name} does not contain LPIPS heads: it lacks {missing[0]} (first keys: {keys}). Use LPIPS v0.1 heads, which "
            "are part of torchmetrics: torchmetrics/functional/image/lpips_models/alex.pth or vgg.pth."
        )
    return [tensors[name].flatten() for name in names]


def _unit_length(features: Tensor) -> Tensor:
    features = features.float()  # squares overflow float16
    # epsilon is inside the root so that the gradient stays finite where all activations are 0
    return features / (features.square().sum(dim=1, keepdim=True) + 1e-8).sqrt()
