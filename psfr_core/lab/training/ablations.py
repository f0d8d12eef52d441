"""Define ablations of the generator: variants that each lack one idea of the paper (section 4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...networks.psfr_generator import BASE_SIZE, REFERENCE_CHANNELS, GeneratorConfig, PsfrGenerator
from ...networks.spade import LEAKY_SLOPE
from .generator_losses import GeneratorLossConfig


class Ablation(str, Enum):
    """Full generator, and the variants with which it is compared."""

    FULL = "full"
    NO_PARSE_MAP = "no parse map"
    NO_STYLE_LOSS = "no style loss"
    GLOBAL_STYLE_LOSS = "style loss not per region"
    COARSE_REFERENCE = "reference at the coarsest scale only"
    ENCODER_DECODER = "encoder and decoder"

    def network(self, config: GeneratorConfig) -> nn.Module:
        """Return the network of this variant, with the interface of ``PsfrGenerator`` and a similar number of parameters."""
        match self:
            case Ablation.NO_PARSE_MAP:
                return _WithoutParseMap(config)
            case Ablation.COARSE_REFERENCE:
                return _CoarseReference(config)
            case Ablation.ENCODER_DECODER:
                return EncoderDecoder.matching(PsfrGenerator(config))
            case _:
                return PsfrGenerator(config)

    def losses(self, weights: GeneratorLossConfig) -> GeneratorLossConfig:
        """Return the loss weights of this variant; ``weights`` are those of the full generator."""
        match self:
            case Ablation.NO_STYLE_LOSS:
                return replace(weights, style=0.0)
            case Ablation.GLOBAL_STYLE_LOSS:
                return replace(weights, style_per_region=False)
            case _:
                return weights


class _WithoutParseMap(PsfrGenerator):
    def forward(self, lq: Tensor, parse_one_hot: Tensor) -> Tensor:
        return super().forward(lq, torch.zeros_like(parse_one_hot))


class _CoarseReference(PsfrGenerator):
    """Generator whose input is reduced to the coarsest scale, so that finer scales get no additional detail."""

    def forward(self, lq: Tensor, parse_one_hot: Tensor) -> Tensor:
        return super().forward(*(_reduced_to(BASE_SIZE, images) for images in (lq, parse_one_hot)))


def _reduced_to(side: int, images: Tensor) -> Tensor:
    """Return ``images`` (B, C, S, S) downscaled to ``side`` pixels and upscaled again to S pixels."""
    small = F.interpolate(images, (side, side), mode="bicubic", align_corners=False, antialias=True)
    return F.interpolate(small, images.shape[-2:], mode="bicubic", align_corners=False)


class EncoderDecoder(nn.Module):
    """Encoder-decoder without skip connections.

    It downsamples face and parse map to the resolution of the generator's coarsest stage, and upsamples them again.
    ``channels`` are those of the generator, from coarse to fine. ``blocks`` is the number of residual blocks at each scale of
    the decoder.
    """

    def __init__(self, channels: Sequence[int], blocks: int) -> None:
        super().__init__()
        finest, coarsest = channels[-1], channels[0]
        down = [nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in pairwise(reversed(channels))]
        self.encoder = nn.Sequential(nn.Conv2d(REFERENCE_CHANNELS, finest, 3, padding=1))
        for layer in down:
            self.encoder.extend([nn.LeakyReLU(LEAKY_SLOPE), layer])
        self.decoder = nn.Sequential(*(_ResBlock(coarsest) for _ in range(blocks)))
        for coarse, fine in pairwise(channels):
            self.decoder.extend([nn.Upsample(scale_factor=2), nn.Conv2d(coarse, fine, 3, padding=1)])
            self.decoder.extend(_ResBlock(fine) for _ in range(blocks))
        self.decoder.append(nn.Conv2d(finest, 3, 3, padding=1))

    @staticmethod
    def matching(generator: PsfrGenerator) -> EncoderDecoder:
        """Return the encoder-decoder with 1 to 8 blocks per scale whose parameter count is closest to that of ``generator``."""
        candidates = [EncoderDecoder(generator.config.channels, blocks) for blocks in range(1, 9)]
        return min(candidates, key=lambda candidate: abs(parameter_count(candidate) - parameter_count(generator)))

    def forward(self, lq: Tensor, parse_one_hot: Tensor) -> Tensor:
        """Return restored faces (B, 3, S, S) in about [-1, 1], as ``PsfrGenerator`` does."""
        return self.decoder(self.encoder(torch.cat([lq, parse_one_hot.to(lq.dtype)], dim=1)))


class _ResBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.InstanceNorm2d(channels, affine=True),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.InstanceNorm2d(channels, affine=True),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features)


def parameter_count(network: nn.Module) -> int:
    """Return the number of parameters of ``network``."""
    return sum(parameter.numel() for parameter in network.parameters())
