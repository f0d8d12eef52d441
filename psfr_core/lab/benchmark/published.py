"""Implement the published formulation of the generator, which is the baseline of the benchmark."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...networks.psfr_generator import PsfrGenerator
from ...networks.spade import LEAKY_SLOPE, SpadeNorm, SpadeResBlock
from ...networks.spectral_norm import add_spectral_norm


class PublishedGenerator(nn.Module):
    """Slower copy of a generator with the same output.

    As published, each call computes the spectral norms, and each modulation resizes the reference.
    """

    def __init__(self, generator: PsfrGenerator) -> None:
        super().__init__()
        self.generator = add_spectral_norm(copy.deepcopy(generator)).eval()
        for conv in self.generator.modules():
            if isinstance(conv, nn.Conv2d):
                # Spectral norm divides the weights by u^T W v. Scaling v so that this value is 1 keeps the weights unchanged.
                u, v, weight = (
                    conv.get_buffer("weight_u"),
                    conv.get_buffer("weight_v"),
                    conv.get_parameter("weight_orig"),
                )
                v.div_(torch.dot(u, weight.detach().flatten(1) @ v))

    def forward(self, lq: Tensor, parse_one_hot: Tensor) -> Tensor:
        """Return the output of the generator for ``lq`` (B, 3, S, S) in [-1, 1] and ``parse_one_hot`` (B, 19, S, S)."""
        reference = torch.cat([lq, parse_one_hot], dim=1)
        features = self.generator.const_input.repeat(len(lq), 1, 1, 1)
        for stage in (self.generator.head, *self.generator.body):
            for layer in stage.children():
                features = _block(layer, features, reference) if isinstance(layer, SpadeResBlock) else layer(features)
        image, lq_out = self.generator.img_out(features), self.generator.lq_out
        return image if lq_out is None else image + lq_out(lq)


def _block(block: SpadeResBlock, features: Tensor, reference: Tensor) -> Tensor:
    residual = block.conv_0(F.leaky_relu(_modulated(block.norm_0, features, reference), LEAKY_SLOPE))
    residual = block.conv_1(F.leaky_relu(_modulated(block.norm_1, residual, reference), LEAKY_SLOPE))
    return features + residual


def _modulated(norm: SpadeNorm, features: Tensor, reference: Tensor) -> Tensor:
    return norm(features, F.interpolate(reference, features.shape[2:], mode="bicubic", align_corners=False))
