"""Define spatially adaptive normalization, conditioned on the low-quality face and its parse map (paper, section 3.1).

Attribute names match the published state dict.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAKY_SLOPE = 0.2


class SpadeNorm(nn.Module):
    """The layer ``gamma * instance_norm(features) + beta``, where gamma and beta are predicted per pixel from a reference."""

    def __init__(self, channels: int, reference_channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(reference_channels, hidden_channels, 3, padding=1), nn.LeakyReLU(LEAKY_SLOPE)
        )
        self.gamma_conv = nn.Conv2d(hidden_channels, channels, 3, padding=1)
        self.beta_conv = nn.Conv2d(hidden_channels, channels, 3, padding=1)

    def forward(self, features: Tensor, reference: Tensor) -> Tensor:
        hidden = self.conv1(reference)
        return self.gamma_conv(hidden) * _instance_norm(features) + self.beta_conv(hidden)


def _instance_norm(features: Tensor) -> Tensor:
    if features.device.type == "cpu" and features.is_contiguous(memory_format=torch.channels_last):
        # PyTorch's instance norm loses this layout and takes three times as long. Batch norm of a single image gives equal results.
        normed = [F.batch_norm(face, None, None, training=True) for face in features.split(1)]
        return torch.cat(normed).contiguous(memory_format=torch.channels_last)
    return F.instance_norm(features)


class ReferenceLayer(nn.Module):
    """A layer that is called with features (B, C, H, W) and a reference of the same size."""


class SpadeResBlock(ReferenceLayer):
    """A residual block with two modulated convolutions, which keeps the size and the number of channels."""

    def __init__(self, channels: int, reference_channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.conv_0 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm_0 = SpadeNorm(channels, reference_channels, hidden_channels)
        self.norm_1 = SpadeNorm(channels, reference_channels, hidden_channels)

    def forward(self, features: Tensor, reference: Tensor) -> Tensor:
        residual = self.conv_0(F.leaky_relu(self.norm_0(features, reference), LEAKY_SLOPE))
        residual = self.conv_1(F.leaky_relu(self.norm_1(residual, reference), LEAKY_SLOPE))
        return features + residual
