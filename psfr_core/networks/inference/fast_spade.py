"""The generator's blocks, computed a few rows at a time.

Most maps of a block live only from one step to the next: the hidden reference, gamma and beta, the modulated features. Rows by
rows they stay in the processor's cache, and nothing of the image's size is taken from the system but the features themselves.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..spade import LEAKY_SLOPE, ReferenceLayer, SpadeNorm, SpadeResBlock
from .convolution import PackedConv2d, bias_of
from .strips import rows_of_strips, strips

_EPS = 1e-5  # of F.instance_norm


class FastSpadeResBlock(ReferenceLayer):
    """A ``SpadeResBlock`` for inference, on maps of about ``side`` pixels in channels_last. It overwrites its input."""

    def __init__(self, block: SpadeResBlock, side: int) -> None:
        super().__init__()
        hidden, channels = block.norm_0.gamma_conv.in_channels, block.conv_0.in_channels
        self.rows = rows_of_strips(max(hidden, 2 * channels), side, block.conv_0.weight.dtype)
        self.norm_0, self.norm_1 = (_FastSpadeNorm(norm, self.rows, side) for norm in (block.norm_0, block.norm_1))
        self.conv_0, self.conv_1 = (
            PackedConv2d(conv, (self.rows + 2, side), padding=(0, 1)) for conv in (block.conv_0, block.conv_1)
        )

    def forward(self, features: Tensor, reference: Tensor) -> Tensor:
        """``features`` (B, C, H, W), dense in channels_last, changed by what ``reference`` (B, 22, H, W) says."""
        for one, its_reference in zip(features.split(1), reference.split(1), strict=True):
            self._add_residual(one, its_reference)
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
    """A ``SpadeNorm`` with its activation; gamma and beta come from one convolution."""

    def __init__(self, norm: SpadeNorm, rows: int, side: int) -> None:
        super().__init__()
        self.hidden = PackedConv2d(cast(nn.Conv2d, norm.conv1[0]), (rows + 6, side), padding=(0, 1), leaky=True)
        self.gamma_beta = PackedConv2d(_side_by_side(norm.gamma_conv, norm.beta_conv), (rows + 4, side), padding=(0, 1))

    def forward(self, features: Tensor, statistics: Statistics, reference: Tensor, start: int, stop: int) -> Tensor:
        """The modulated rows from ``start`` - 1 to ``stop`` + 1, zero outside the image."""
        height = features.shape[-2]
        hidden = self.hidden(_rows(reference, start - 3, stop + 3))
        _clear_outside(hidden, start - 2, height)
        gamma, beta = self.gamma_beta(hidden).chunk(2, dim=1)
        normalized = F.batch_norm(_rows(features, start - 1, stop + 1), *statistics, eps=_EPS)
        modulated = F.leaky_relu_(torch.addcmul(beta, gamma, normalized, out=normalized), LEAKY_SLOPE)
        _clear_outside(modulated, start - 1, height)
        return modulated


Statistics = tuple[Tensor, Tensor]
"""Mean and variance (C,) of each channel, float32."""


def _statistics(features: Tensor) -> Statistics:
    # Of one image, so that these are the instance's. The operator behind batch norm's training is the fastest that there is.
    return torch.batch_norm_update_stats(features, None, None, 0.0)


def _rows(features: Tensor, start: int, stop: int) -> Tensor:
    """Rows ``start`` to ``stop``, zero where they lie outside the image; a view if none does."""
    height = features.shape[-2]
    inside = features[:, :, max(start, 0) : min(stop, height)]
    above, below = max(-start, 0), max(stop - height, 0)
    return F.pad(inside, (0, 0, above, below)) if above or below else inside


def _clear_outside(features: Tensor, start: int, height: int) -> None:
    """Zeros in the rows of ``features``, which begin at row ``start`` of the image, that lie outside the image's ``height``."""
    features[:, :, : max(-start, 0)].zero_()
    features[:, :, max(height - start, 0) :].zero_()


def _side_by_side(one: nn.Conv2d, other: nn.Conv2d) -> nn.Conv2d:
    """The convolution whose results are those of ``one`` and then those of ``other``, of the same input."""
    both = nn.Conv2d(one.in_channels, one.out_channels + other.out_channels, 3, device="meta")
    both.weight = nn.Parameter(torch.cat([one.weight, other.weight]), requires_grad=False)
    both.bias = nn.Parameter(torch.cat([bias_of(one), bias_of(other)]), requires_grad=False)
    return both
