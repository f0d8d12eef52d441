"""Compute the blocks of the generator in strips of rows.

Most intermediate maps of a block are short-lived: the hidden reference, gamma, beta, and the modulated features. In strips, they
stay in the CPU cache, and only the features themselves are allocated at full size.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..spade import LEAKY_SLOPE, ReferenceLayer, SpadeNorm, SpadeResBlock
from .convolution import PackedConv2d, bias_of
from .strips import rows_of_strips, strips

_EPS = 1e-5  # default of F.instance_norm


class FastSpadeResBlock(ReferenceLayer):
    """A ``SpadeResBlock`` for inference on channels_last features of about ``side`` pixels. It overwrites its input."""

    def __init__(self, block: SpadeResBlock, side: int) -> None:
        super().__init__()
        hidden, channels = block.norm_0.gamma_conv.in_channels, block.conv_0.in_channels
        self.rows = rows_of_strips(max(hidden, 2 * channels), side, block.conv_0.weight.dtype)
        self.norm_0, self.norm_1 = (_FastSpadeNorm(norm, self.rows, side) for norm in (block.norm_0, block.norm_1))
        self.conv_0, self.conv_1 = (
            PackedConv2d(conv, (self.rows + 2, side), padding=(0, 1)) for conv in (block.conv_0, block.conv_1)
        )

    def forward(self, features: Tensor, reference: Tensor) -> Tensor:
        """Update ``features`` (B, C, H, W), dense in channels_last, in place with ``reference`` (B, 22, H, W), and return them."""
        for image, image_reference in zip(features.split(1), reference.split(1), strict=True):
            self._add_residual(image, image_reference)
        return features

    def _add_residual(self, features: Tensor, reference: Tensor) -> None:
        residual = torch.empty_like(features)
        statistics = _statistics(features)
        for start, stop in strips(features.shape[-2], self.rows):
            modulated = self.norm_0(features, statistics, reference, start, stop)
            residual[:, :, start:stop] = self.conv_0(modulated)
        statistics = _statistics(residual)
        for start, stop in strips(features.shape[-2], self.rows):
            modulated = self.norm_1(residual, statistics, reference, start, stop)
            self.conv_1.add_to(features[:, :, start:stop], modulated)


class _FastSpadeNorm(nn.Module):
    """A ``SpadeNorm`` with fused activation and one convolution for gamma and beta."""

    def __init__(self, norm: SpadeNorm, rows: int, side: int) -> None:
        super().__init__()
        self.hidden = PackedConv2d(cast(nn.Conv2d, norm.conv1[0]), (rows + 6, side), padding=(0, 1), leaky=True)
        self.gamma_beta = PackedConv2d(_concatenate(norm.gamma_conv, norm.beta_conv), (rows + 4, side), padding=(0, 1))

    def forward(self, features: Tensor, statistics: Statistics, reference: Tensor, start: int, stop: int) -> Tensor:
        """Return the modulated rows [``start`` - 1, ``stop`` + 1), where rows outside the image are zero."""
        height = features.shape[-2]
        hidden = self.hidden(_rows(reference, start - 3, stop + 3))
        _clear_outside(hidden, start - 2, height)
        gamma, beta = self.gamma_beta(hidden).chunk(2, dim=1)
        normalized = F.batch_norm(_rows(features, start - 1, stop + 1), *statistics, eps=_EPS)
        modulated = F.leaky_relu_(torch.addcmul(beta, gamma, normalized, out=normalized), LEAKY_SLOPE)
        _clear_outside(modulated, start - 1, height)
        return modulated


Statistics = tuple[Tensor, Tensor]
"""Mean and variance (C,) of the channels, float32."""


def _statistics(features: Tensor) -> Statistics:
    # Batch statistics of a single image are its instance statistics. This operator is the fastest one that computes them.
    return torch.batch_norm_update_stats(features, None, None, 0.0)


def _rows(features: Tensor, start: int, stop: int) -> Tensor:
    """Return the rows [``start``, ``stop``), with zeros outside the image. The result is a view if all rows are inside."""
    height = features.shape[-2]
    inside = features[:, :, max(start, 0) : min(stop, height)]
    above, below = max(-start, 0), max(stop - height, 0)
    return F.pad(inside, (0, 0, above, below)) if above or below else inside


def _clear_outside(features: Tensor, start: int, height: int) -> None:
    """Set the rows of ``features`` outside the image to zero. The first row is row ``start`` of an image of ``height`` rows."""
    features[:, :, : max(-start, 0)].zero_()
    features[:, :, max(height - start, 0) :].zero_()


def _concatenate(first: nn.Conv2d, second: nn.Conv2d) -> nn.Conv2d:
    """Return a convolution whose output channels are those of ``first`` followed by those of ``second``."""
    both = nn.Conv2d(first.in_channels, first.out_channels + second.out_channels, 3, device="meta")
    both.weight = nn.Parameter(torch.cat([first.weight, second.weight]), requires_grad=False)
    both.bias = nn.Parameter(torch.cat([bias_of(first), bias_of(second)]), requires_grad=False)
    return both
