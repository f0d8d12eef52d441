"""Define the face parsing network of PSFR-GAN (paper, section 3.2), which is identical to facexlib's ParseNet.

Attribute names match the published state dict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import check_network_input, check_shape
from ..errors import InputError, OptionError
from ..options import option
from .psfr_generator import PARSE_CLASSES
from .spade import LEAKY_SLOPE

COARSEST_SIZE = 32  # side of the smallest feature map in pixels
MAX_STAGES = 9  # for a side of 8192 px
MAX_BLOCKS = 100


@dataclass(frozen=True)
class ParseNetConfig:
    """Channels of a parsing network: ``channels[0]`` is for the full size. Each further entry halves the size, down to 32 px."""

    channels: tuple[int, ...] = field(metadata={"description": "channels of each stage, from the input size to 32 px"})
    residual_blocks: int = option(10, "number of residual blocks at 32 px")

    def __post_init__(self) -> None:
        if not 1 <= len(self.channels) <= MAX_STAGES or min(self.channels) < 1:
            raise OptionError(
                f"A parsing network needs 1 to {MAX_STAGES} stages and positive channel counts, got {self}."
            )
        if not 0 <= self.residual_blocks <= MAX_BLOCKS:
            raise OptionError(f"A parsing network needs 0 to {MAX_BLOCKS} residual blocks, got {self.residual_blocks}.")

    @property
    def size(self) -> int:
        """Side of the input in pixels."""
        return COARSEST_SIZE * 2 ** (len(self.channels) - 1)

    @staticmethod
    def from_state_dict(state_dict: Mapping[str, Tensor]) -> ParseNetConfig:
        """Infer the configuration from the shapes in ``state_dict``."""
        stages = sum(key.startswith("decoder.") and key.endswith("conv1.conv2d.weight") for key in state_dict)
        blocks = sum(key.startswith("body.") and key.endswith("conv1.conv2d.weight") for key in state_dict)
        channels = (state_dict["encoder.0.conv2d.weight"].shape[0],)
        channels += tuple(state_dict[f"encoder.{n + 1}.conv1.conv2d.weight"].shape[0] for n in range(stages))
        return ParseNetConfig(channels, blocks)


PUBLISHED_PARSE_NET = ParseNetConfig((64, 128, 256, 256, 256), 10)


class ParseNet(nn.Module):
    """A network that assigns one of 19 regions to each pixel of a face, and reconstructs the face as an auxiliary task."""

    def __init__(self, config: ParseNetConfig) -> None:
        super().__init__()
        self.config = config
        finest, coarsest = config.channels[0], config.channels[-1]
        self.encoder = nn.Sequential(
            ReflectConv(3, finest),
            *(ResidualBlock(fine, coarse, down=True) for fine, coarse in pairwise(config.channels)),
        )
        self.body = nn.Sequential(*(ResidualBlock(coarsest, coarsest) for _ in range(config.residual_blocks)))
        self.decoder = nn.Sequential(
            *(ResidualBlock(coarse, fine, up=True) for coarse, fine in pairwise(reversed(config.channels)))
        )
        self.out_img_conv: nn.Module = ReflectConv(finest, 3)
        self.out_mask_conv: nn.Module = ReflectConv(finest, PARSE_CLASSES)

    def forward(self, lq: Tensor) -> tuple[Tensor, Tensor]:
        """Return parse logits (B, 19, H, W) and the reconstructed face (B, 3, H, W) in about [-1, 1].

        ``lq`` (B, 3, H, W) is RGB in [-1, 1]. H and W are normally ``config.size``; they must be multiples of ``config.size`` / 32.
        Raises InputError for another shape, dtype or device.
        """
        features = self._features(lq)
        return self.out_mask_conv(features), self.out_img_conv(features)

    def parse_logits(self, lq: Tensor) -> Tensor:
        """Return the parse logits of ``forward`` without computing the reconstructed face, which only training uses."""
        return self.out_mask_conv(self._features(lq))

    def _features(self, lq: Tensor) -> Tensor:
        check_shape(lq, "B 3 H W", "lq")
        check_network_input(lq, self, "lq")
        multiple = self.config.size // COARSEST_SIZE
        if lq.shape[2] % multiple or lq.shape[3] % multiple:
            raise InputError(
                f"The sides of faces for this parsing network must be multiples of {multiple} pixels, "
                f"got {lq.shape[3]} x {lq.shape[2]}. Resize the face to {self.config.size} x {self.config.size}."
            )
        features = self.encoder(lq)
        return self.decoder(features + self.body(features))


class ResidualBlock(nn.Module):
    """A residual block that keeps, halves (``down``) or doubles (``up``) the size."""

    def __init__(self, in_channels: int, out_channels: int, *, down: bool = False, up: bool = False) -> None:
        super().__init__()
        if down or up:
            self.shortcut_func: nn.Module = ReflectConv(in_channels, out_channels, down=down, up=up)
        else:
            self.shortcut_func = nn.Identity()
        self.conv1 = ReflectConv(in_channels, out_channels, up=up, normed=True)
        self.conv2 = ReflectConv(out_channels, out_channels, down=down, normed=True)

    def forward(self, features: Tensor) -> Tensor:
        residual = F.leaky_relu(self.conv1(features), LEAKY_SLOPE)
        return self.shortcut_func(features) + self.conv2(residual)


class ReflectConv(nn.Module):
    """A 3x3 convolution with reflection padding, optional resampling by 2, and either batch norm or a bias."""

    def __init__(
        self, in_channels: int, out_channels: int, *, down: bool = False, up: bool = False, normed: bool = False
    ) -> None:
        super().__init__()
        self.up = up
        self.conv2d = nn.Conv2d(in_channels, out_channels, 3, stride=2 if down else 1, bias=not normed)
        self.norm = _Norm(out_channels) if normed else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        if self.up:
            features = F.interpolate(features, scale_factor=2, mode="nearest")
        return self.norm(self.conv2d(F.pad(features, (1, 1, 1, 1), mode="reflect")))


class _Norm(nn.Module):
    """Batch norm as a submodule, to match the published names (``norm.norm``)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        return self.norm(features)
