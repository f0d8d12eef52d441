"""Define the network of the bundled face detector, which predicts the center, the box and five landmarks of each face.

Faces are detected as points, as in CenterNet (Zhou et al., 2019, "Objects as Points"). The network predicts a score, a box and five
landmarks for each cell of 4 x 4 pixels. Local maxima of the score are faces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import check_network_input, check_shape
from ..errors import InputError, OptionError
from ..options import option

STRIDE = 4  # image pixels per cell
SIZE_MULTIPLE = 32  # image sides must be multiples of this
BOX_UNIT_PX = 8.0  # distance from the cell center to a side of the box if the raw value is 0


@dataclass(frozen=True)
class CompactFaceNetConfig:
    """Channels of a detector at strides 2, 4, 8, 16 and 32, and of the merged feature map at stride 4."""

    channels: tuple[int, ...] = option((16, 24, 48, 64, 96), "channels at strides 2, 4, 8, 16 and 32")
    merged_channels: int = option(32, "channels of the merged feature map at stride 4")

    def __post_init__(self) -> None:
        if len(self.channels) != 5 or min(*self.channels, self.merged_channels) < 1:
            raise OptionError(
                f"A face detector needs five positive channel counts and positive merged_channels, got {self}."
            )

    @staticmethod
    def from_state_dict(state_dict: Mapping[str, Tensor]) -> CompactFaceNetConfig:
        """Infer the configuration from the shapes in ``state_dict``."""
        channels = (state_dict["stem.0.weight"].shape[0],)
        channels += tuple(state_dict[f"stages.{n}.0.0.weight"].shape[0] for n in range(4))
        return CompactFaceNetConfig(channels, state_dict["laterals.0.weight"].shape[0])


class CompactFaceNetOutput(NamedTuple):
    """Predictions per cell. Boxes are (left, top, right, bottom), and landmarks are five (x, y) pairs.

    Both are in image pixels, where (0, 0) is the center of the top-left pixel.
    """

    score_logits: Tensor  # (B, 1, H/4, W/4)
    boxes: Tensor  # (B, 4, H/4, W/4)
    landmarks: Tensor  # (B, 10, H/4, W/4)


class CompactFaceNet(nn.Module):
    """A network with a residual backbone and a feature pyramid that is merged into one map at stride 4."""

    def __init__(self, config: CompactFaceNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or CompactFaceNetConfig()
        merged = self.config.merged_channels
        self.stem = _conv(3, self.config.channels[0], stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(_conv(fine, coarse, stride=2), _ResidualBlock(coarse), _ResidualBlock(coarse))
            for fine, coarse in pairwise(self.config.channels)
        )
        self.laterals = nn.ModuleList(nn.Conv2d(channels, merged, 1) for channels in self.config.channels[1:])
        self.merges = nn.ModuleList(_conv(merged, merged) for _ in self.config.channels[2:])
        self.head = nn.Sequential(_conv(merged, merged), _head(merged))

    def predict(self, images: Tensor) -> Tensor:
        """Return raw predictions (B, 15, H/4, W/4) for ``images`` (B, 3, H, W), RGB in [0, 1].

        H and W must be multiples of 32. The channels are the score logit, the logarithms of the four distances from the cell center
        to the sides of the box in units of 8 px, and the landmark offsets from the cell center in units of the face size, which is
        the mean of the box's width and height. ``decode`` converts them. Raises InputError for images of another shape, dtype or
        device.
        """
        check_shape(images, "B 3 H W", "images")
        check_network_input(images, self, "images")
        if images.shape[2] % SIZE_MULTIPLE or images.shape[3] % SIZE_MULTIPLE:
            raise InputError(
                f"The sides of images for the face detector must be multiples of {SIZE_MULTIPLE} pixels, "
                f"got {images.shape[3]} x {images.shape[2]}. Pad the image."
            )
        features = self.stem(images * 2 - 1)
        levels: list[Tensor] = []
        for stage, lateral in zip(self.stages, self.laterals, strict=True):
            features = stage(features)
            levels.append(lateral(features))
        merged = levels.pop()
        for merge in self.merges:
            merged = merge(levels.pop() + F.interpolate(merged, scale_factor=2, mode="nearest"))
        return self.head(merged)

    def forward(self, images: Tensor) -> CompactFaceNetOutput:
        """Return the score, box and landmarks of each cell of ``images`` (B, 3, H, W), which ``predict`` describes."""
        return decode(self.predict(images))


def decode(raw: Tensor) -> CompactFaceNetOutput:
    """Convert the raw values (B, 15, H/4, W/4) of ``CompactFaceNet.predict`` to scores, boxes and landmarks."""
    score_logits, box_raw, landmark_raw = raw.split((1, 4, 10), dim=1)
    centers = cell_centers(box_raw.shape[-2], box_raw.shape[-1], box_raw)
    distances = BOX_UNIT_PX * torch.exp(box_raw.clamp(max=6.0))  # at most 3,227 px; exp must not overflow
    boxes = torch.cat([centers - distances[:, :2], centers + distances[:, 2:]], dim=1)
    face_size = distances.sum(dim=1, keepdim=True) / 2
    return CompactFaceNetOutput(score_logits, boxes, centers.repeat(1, 5, 1, 1) + landmark_raw * face_size)


def cell_centers(rows: int, columns: int, like: Tensor) -> Tensor:
    """Return the cell centers x, y (1, 2, rows, columns) in image pixels, with the device and dtype of ``like``."""
    y, x = (torch.arange(n, device=like.device, dtype=like.dtype) * STRIDE + (STRIDE - 1) / 2 for n in (rows, columns))
    return torch.stack([x.expand(rows, columns), y[:, None].expand(rows, columns)])[None]


def _conv(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


def _head(in_channels: int) -> nn.Conv2d:
    head = nn.Conv2d(in_channels, 1 + 4 + 10, 1)
    start = torch.zeros(head.out_channels)
    start[0] = -4.0  # initial scores are low, because faces are rare
    head.bias = nn.Parameter(start)
    return head


class _ResidualBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_0 = _conv(channels, channels)
        self.conv_1 = _conv(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.conv_1(self.conv_0(features))
