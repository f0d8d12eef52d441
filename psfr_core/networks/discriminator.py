"""Define the multi-scale discriminator of PSFR-GAN (paper, section 3.3).

Attribute names match the published state dict.
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
from ..options import option
from .psfr_generator import REFERENCE_CHANNELS
from .spade import LEAKY_SLOPE


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Channels of a discriminator: ``channels[0]`` is for the full size, and each further entry halves the size."""

    channels: tuple[int, ...] = option((64, 128, 256, 512, 1024), "channels of each layer, at the input size first")
    scales: int = option(3, "number of scales of the image pyramid")

    def __post_init__(self) -> None:
        if len(self.channels) < 2 or min(*self.channels, self.scales) < 1:
            raise OptionError(
                f"A discriminator needs at least two positive channel counts and at least one scale, got {self}."
            )

    @property
    def min_side(self) -> int:
        """Smallest side in pixels of the images, such that the last convolution of the coarsest scale fits."""
        return 3 * 2 ** (len(self.channels) - 1 + self.scales - 1)


class DiscriminatorOutput(NamedTuple):
    """Output at one scale: the logits ``score`` (B, 1, h, w) for the hinge loss, and the feature maps, finest first."""

    score: Tensor
    features: list[Tensor]


class Discriminator(nn.Module):
    """Patch discriminators on an image pyramid, conditioned on the parse map."""

    def __init__(self, config: DiscriminatorConfig | None = None) -> None:
        super().__init__()
        self.config = config or DiscriminatorConfig()
        self.D_pool = nn.ModuleList(_PatchDiscriminator(self.config.channels) for _ in range(self.config.scales))

    def forward(self, images: Tensor, parse_one_hot: Tensor) -> list[DiscriminatorOutput]:
        """Return an output per scale, full size first.

        ``images`` (B, 3, H, W) are RGB in [-1, 1], and ``parse_one_hot`` is (B, 19, H, W). Raises InputError for images of another
        shape.
        """
        check_shape(images, "B 3 H W", "images")
        conditioned = torch.cat([images, parse_one_hot.to(images.dtype)], dim=1)
        outputs: list[DiscriminatorOutput] = []
        for discriminator in self.D_pool:
            outputs.append(discriminator(conditioned))
            conditioned = F.avg_pool2d(conditioned, 3, stride=2, padding=1, count_include_pad=False)
        return outputs


class _PatchDiscriminator(nn.Module):
    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        layers = [_Conv(REFERENCE_CHANNELS, channels[0])]
        layers += [_Conv(fine, coarse, down=True) for fine, coarse in pairwise(channels)]
        self.model = nn.ModuleList(layers)
        self.score_out = _Conv(channels[-1], 1, padding=0)

    def forward(self, conditioned: Tensor) -> DiscriminatorOutput:
        features: list[Tensor] = []
        for layer in self.model:
            conditioned = F.leaky_relu(layer(conditioned), LEAKY_SLOPE)
            features.append(conditioned)
        return DiscriminatorOutput(self.score_out(conditioned), features)


class _Conv(nn.Module):
    """A 3x3 convolution with reflection padding. ``down`` halves the size of the output by average pooling."""

    def __init__(self, in_channels: int, out_channels: int, *, down: bool = False, padding: int = 1) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(in_channels, out_channels, 3, padding=padding, padding_mode="reflect")
        self.down = down

    def forward(self, features: Tensor) -> Tensor:
        features = self.conv2d(features)
        return F.avg_pool2d(features, 2) if self.down else features
