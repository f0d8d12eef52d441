"""Define a discriminator whose input is the activations of a frozen network.

It needs fewer training steps than a discriminator of images, and is not part of the paper.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .discriminator import DiscriminatorOutput
from .psfr_generator import PARSE_CLASSES
from .spade import LEAKY_SLOPE


class FeatureDiscriminator(nn.Module):
    """Patch discriminators, one for the activations of each layer, conditioned on the parse map.

    ``layer_channels`` are the channels of the activations by layer name. Source: Sauer et al., Projected GANs Converge Faster
    (NeurIPS 2021), section 3, without feature mixing across layers.
    """

    def __init__(self, layer_channels: Mapping[str, int], hidden_channels: int = 64) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(
            {name: _LayerDiscriminator(channels, hidden_channels) for name, channels in layer_channels.items()}
        )

    def forward(self, features: Mapping[str, Tensor], parse_one_hot: Tensor) -> list[DiscriminatorOutput]:
        """Return one output per layer, from its activations (B, C, h, w) in ``features`` and one-hot parse maps (B, 19, H, W)."""
        return [layer(features[name], parse_one_hot) for name, layer in self.layers.items()]


class _LayerDiscriminator(nn.Module):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels + PARSE_CLASSES, hidden, 1)
        self.look_around = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.score_out = nn.Conv2d(hidden, 1, 1)

    def forward(self, features: Tensor, parse_one_hot: Tensor) -> DiscriminatorOutput:
        features = features.float()  # squares overflow float16
        features = features / (features.square().mean(dim=1, keepdim=True) + 1e-6).sqrt()
        regions = F.interpolate(parse_one_hot, features.shape[-2:], mode="nearest")
        mixed = F.leaky_relu(self.mix(torch.cat([features, regions], dim=1)), LEAKY_SLOPE)
        hidden = F.leaky_relu(self.look_around(mixed), LEAKY_SLOPE)
        return DiscriminatorOutput(self.score_out(hidden), [mixed, hidden])
