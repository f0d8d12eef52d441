"""A discriminator on the activations of a frozen network: it learns in hundreds of steps what one on pictures needs thousands for.

The paper does not have it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .discriminator import ScaleJudgement
from .psfr_generator import PARSE_CLASSES
from .spade import LEAKY_SLOPE


class FeatureDiscriminator(nn.Module):
    """Patch discriminators on the activations at several layers, with the parse map as condition.

    Source: Sauer et al., Projected GANs Converge Faster (NeurIPS 2021), section 3, without the mixing of layers.
    """

    def __init__(self, layer_channels: Mapping[str, int], hidden_channels: int = 64) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(
            {name: _LayerDiscriminator(channels, hidden_channels) for name, channels in layer_channels.items()}
        )

    def forward(self, features: Mapping[str, Tensor], parse_one_hot: Tensor) -> list[ScaleJudgement]:
        """One judgement a layer, of its activations (B, C, h, w) in ``features``, with the maps (B, 19, H, W)."""
        return [layer(features[name], parse_one_hot) for name, layer in self.layers.items()]


class _LayerDiscriminator(nn.Module):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels + PARSE_CLASSES, hidden, 1)
        self.look_around = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.score_out = nn.Conv2d(hidden, 1, 1)

    def forward(self, features: Tensor, parse_one_hot: Tensor) -> ScaleJudgement:
        features = features.float()  # squares leave the range of float16
        features = features / (features.square().mean(dim=1, keepdim=True) + 1e-6).sqrt()
        regions = F.interpolate(parse_one_hot, features.shape[-2:], mode="nearest")
        mixed = F.leaky_relu(self.mix(torch.cat([features, regions], dim=1)), LEAKY_SLOPE)
        seen = F.leaky_relu(self.look_around(mixed), LEAKY_SLOPE)
        return ScaleJudgement(self.score_out(seen), [mixed, seen])
