"""Compute the layers of the parsing network quickly on a CPU, with batch norm folded into the convolutions.

All layers except the residual blocks at 32 px are computed in strips of rows, so that only the outputs of blocks are stored at
full size. Rows at the edges of strips are computed twice. As in the plain network, images are padded by reflection.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..parse_net import ReflectConv, ResidualBlock
from .convolution import PackedConv2d, UpsampleConv2d
from .strips import rows_of_strips, strips


class FastReflectConv(nn.Module):
    """A ``ReflectConv`` that keeps the size, for channels_last features of about ``side`` pixels."""

    def __init__(self, conv: ReflectConv, side: int) -> None:
        super().__init__()
        self.rows = rows_of_strips(
            max(conv.conv2d.in_channels, conv.conv2d.out_channels), side, conv.conv2d.weight.dtype
        )
        self.conv = PackedConv2d(conv.conv2d, (self.rows + 2, side + 2))

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, C', H, W) for ``features`` (B, C, H, W)."""
        features = features.contiguous(memory_format=torch.channels_last)
        result = _empty(features, len(self.conv.bias), *features.shape[-2:])
        for image, image_result in zip(features.split(1), result.split(1), strict=True):
            for start, stop in strips(image.shape[-2], self.rows):
                image_result[:, :, start:stop] = self.conv(_bordered(image, start - 1, stop + 1, "reflect"))
        return result


class FastResidualBlock(nn.Module):
    """A ``ResidualBlock`` that keeps the size of features of about ``side`` pixels."""

    def __init__(self, block: ResidualBlock, side: int) -> None:
        super().__init__()
        self.conv1 = PackedConv2d(block.conv1.conv2d, (side + 2, side + 2), leaky=True)
        self.conv2 = PackedConv2d(block.conv2.conv2d, (side + 2, side + 2))

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, C, H, W) for ``features`` of the same shape."""
        residual = self.conv1(F.pad(features, (1, 1, 1, 1), mode="reflect"))
        return self.conv2(F.pad(residual, (1, 1, 1, 1), mode="reflect")).add_(features)


class FastDownBlock(nn.Module):
    """A ``ResidualBlock`` that halves the size of features of about ``side`` pixels."""

    def __init__(self, block: ResidualBlock, side: int) -> None:
        super().__init__()
        channels = block.conv1.conv2d.out_channels
        self.rows = rows_of_strips(channels, side, block.conv1.conv2d.weight.dtype) // 2  # output rows
        size = (2 * self.rows + 1, side + 2)
        self.shortcut = PackedConv2d(cast(ReflectConv, block.shortcut_func).conv2d, size)
        self.conv1 = PackedConv2d(block.conv1.conv2d, (2 * self.rows + 3, side + 2), leaky=True)
        self.conv2 = PackedConv2d(block.conv2.conv2d, size)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, C', H / 2, W / 2) for ``features`` (B, C, H, W)."""
        height, width = features.shape[-2:]
        result = _empty(features, len(self.conv2.bias), height // 2, width // 2)
        for image, image_result in zip(features.split(1), result.split(1), strict=True):
            for start, stop in strips(height // 2, self.rows):
                self._strip(image, image_result[:, :, start:stop], 2 * start, 2 * stop)
        return result

    def _strip(self, features: Tensor, result: Tensor, start: int, stop: int) -> None:
        """Compute the output for the input rows [``start``, ``stop``), and store it in ``result``."""
        first = max(start - 1, 0)
        padded = _bordered(features, first - 1, stop + 1, "reflect")
        residual = self.conv1(padded)
        result.copy_(self.shortcut(padded[:, :, start - first : start - first + stop - start + 1]))
        self.conv2.add_to(result, F.pad(residual, (1, 1, int(start == 0), 0), mode="reflect"))


class FastUpBlock(nn.Module):
    """A ``ResidualBlock`` that doubles the size of features of about ``side`` pixels."""

    def __init__(self, block: ResidualBlock, side: int) -> None:
        super().__init__()
        channels = block.conv1.conv2d.out_channels
        self.rows = rows_of_strips(channels, 2 * side, block.conv1.conv2d.weight.dtype) // 2  # input rows
        size = (self.rows + 4, side + 2)
        self.shortcut = UpsampleConv2d(cast(ReflectConv, block.shortcut_func).conv2d, size, has_border=True)
        self.conv1 = UpsampleConv2d(block.conv1.conv2d, size, has_border=True, leaky=True)
        self.conv2 = PackedConv2d(block.conv2.conv2d, (2 * self.rows + 2, 2 * side + 2))

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, C', 2H, 2W) for ``features`` (B, C, H, W)."""
        height, width = features.shape[-2:]
        result = _empty(features, len(self.conv2.bias), 2 * height, 2 * width)
        for image, image_result in zip(features.split(1), result.split(1), strict=True):
            for start, stop in strips(height, self.rows):
                self._strip(image, image_result[:, :, 2 * start : 2 * stop], start, stop)
        return result

    def _strip(self, features: Tensor, result: Tensor, start: int, stop: int) -> None:
        """Compute the output for the input rows [``start``, ``stop``), and store it in ``result``."""
        height = features.shape[-2]
        first, last = max(start - 1, 0), min(stop + 1, height)
        # Reflection padding of the upsampled image is equal to replication padding before upsampling.
        padded = _bordered(features, first - 1, last + 1, "replicate")
        residual = self.conv1(padded)
        above, below = 2 * (start - first), 2 * (last - stop)  # additional rows, of which conv2 needs one at each end
        residual = residual[:, :, max(above - 1, 0) : residual.shape[-2] - max(below - 1, 0)]
        result.copy_(self.shortcut(padded[:, :, start - first : padded.shape[-2] - (last - stop)]))
        self.conv2.add_to(result, F.pad(residual, (1, 1, int(above == 0), int(below == 0)), mode="reflect"))


def _bordered(features: Tensor, start: int, stop: int, mode: str) -> Tensor:
    """Return the rows [``start``, ``stop``) with one padding column at each side.

    At each end, one row may lie outside the image. ``mode`` is the padding mode of F.pad: ``reflect`` or ``replicate``.
    """
    height = features.shape[-2]
    inside = features[:, :, max(start, 0) : min(stop, height)]
    return F.pad(inside, (1, 1, int(start < 0), int(stop > height)), mode=mode)


def _empty(like: Tensor, channels: int, height: int, width: int) -> Tensor:
    return torch.empty(
        (len(like), channels, height, width), dtype=like.dtype, device=like.device, memory_format=torch.channels_last
    )
