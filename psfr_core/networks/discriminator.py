"""The multi-scale discriminator of PSFR-GAN (paper, section 3.3).

Attribute names follow the published state dict.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import check_shape
from ..errors import OptionError
from .psfr_generator import REFERENCE_CHANNELS
from .spade import LEAKY_SLOPE


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Sizes of a discriminator: ``channels[0]`` before the first halving, one halving for each further entry."""

    channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    scales: int = 3

    def __post_init__(self) -> None:
        if len(self.channels) < 2 or min(*self.channels, self.scales) < 1:
            raise OptionError(
                f"A discriminator needs two or more channel numbers, and a scale, all at least 1: got {self}."
            )


class ScaleJudgement(NamedTuple):
    """What the discriminator says at one scale: hinge logits (B, 1, h, w), and its feature maps, finest first."""

    score: Tensor
    features: list[Tensor]


class Discriminator(nn.Module):
    """Patch discriminators of equal shape on the image and its successive halves, with the parse map as condition."""

    def __init__(self, config: DiscriminatorConfig | None = None) -> None:
        super().__init__()
        self.config = config or DiscriminatorConfig()
        self.D_pool = nn.ModuleList(_PatchDiscriminator(self.config.channels) for _ in range(self.config.scales))

    def forward(self, images: Tensor, parse_one_hot: Tensor) -> list[ScaleJudgement]:
        """One judgement a scale, full size first, of ``images`` (B, 3, H, W) in [-1, 1] with their maps (B, 19, H, W)."""
        check_shape(images, "B 3 H W", "images")
        conditioned = torch.cat([images, parse_one_hot.to(images.dtype)], dim=1)
        judgements: list[ScaleJudgement] = []
        for discriminator in self.D_pool:
            judgements.append(discriminator(conditioned))
            conditioned = F.avg_pool2d(conditioned, 3, stride=2, padding=1, count_include_pad=False)
        return judgements


class _PatchDiscriminator(nn.Module):
    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        layers = [_Conv(REFERENCE_CHANNELS, channels[0])]
        layers += [_Conv(fine, coarse, down=True) for fine, coarse in pairwise(channels)]
        self.model = nn.ModuleList(layers)
        self.score_out = _Conv(channels[-1], 1, padding=0)

    def forward(self, conditioned: Tensor) -> ScaleJudgement:
        features: list[Tensor] = []
        for layer in self.model:
            conditioned = F.leaky_relu(layer(conditioned), LEAKY_SLOPE)
            features.append(conditioned)
        return ScaleJudgement(self.score_out(conditioned), features)


class _Conv(nn.Module):
    """3x3 convolution with reflected borders; ``down`` halves the result by averaging."""

    def __init__(self, in_channels: int, out_channels: int, *, down: bool = False, padding: int = 1) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(in_channels, out_channels, 3, padding=padding, padding_mode="reflect")
        self.down = down

    def forward(self, features: Tensor) -> Tensor:
        features = self.conv2d(features)
        return F.avg_pool2d(features, 2) if self.down else features
