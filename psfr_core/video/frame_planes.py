"""Read the colors of a decoded frame where a face is, and write them back without touching anything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..images.box import PixelBox, Size
from .pixel_formats import FULL, color_range_of, plane_arrays

if TYPE_CHECKING:
    from av import VideoFrame

# Weights of red and blue in luma, by FFmpeg's number of the color matrix.
_LUMA_SHARES = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.601, PAL
    6: (0.299, 0.114),  # BT.601, NTSC
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
    10: (0.2627, 0.0593),  # BT.2020 with constant luminance, treated like 9
}
_MIN_HD_HEIGHT = 720  # from this height on, videos without a named matrix are BT.709


@dataclass(frozen=True, eq=False)
class FramePlanes:
    """The planes of a planar frame as arrays (H, W): luma, or luma and chroma, or red, green and blue; and alpha, if any.

    ``bits`` is the number of bits per sample. ``subsampling`` is the number of luma columns and rows per chroma sample.
    ``luma_shares`` are the weights of red and blue in luma, or None for gray and RGB frames.
    """

    planes: list[NDArray[Any]]
    has_alpha: bool
    bits: int
    is_full_range: bool
    subsampling: tuple[int, int]
    luma_shares: tuple[float, float] | None

    @classmethod
    def of(cls, frame: VideoFrame) -> FramePlanes:
        """Return the planes of a planar frame; see ``to_planar``."""
        layout = frame.format
        planes = plane_arrays(frame)
        is_yuv = not layout.is_rgb and len(planes) > 2
        return cls(
            planes,
            has_alpha=len(planes) in (2, 4),
            bits=layout.components[0].bits,
            is_full_range=layout.is_rgb or color_range_of(frame) == FULL,
            subsampling=(16 // layout.chroma_width(16), 16 // layout.chroma_height(16)) if is_yuv else (1, 1),
            luma_shares=_luma_shares(frame) if is_yuv else None,
        )

    @property
    def size(self) -> Size:
        height, width = self.planes[0].shape
        return Size(width, height)

    def fit(self, box: PixelBox) -> PixelBox:
        """Return ``box`` extended to whole chroma samples and clipped to the frame, as ``read`` and ``write`` need it."""
        across, down = self.subsampling
        left, top = box.left // across * across, box.top // down * down
        return PixelBox(left, top, -(-box.right // across) * across, -(-box.bottom // down) * down).within(self.size)

    def read(self, box: PixelBox) -> Tensor:
        """Return the colors (C, h, w) in ``box``, float32: gray or RGB, with alpha if the frame has it.

        Values lie in [0, 1], except for colors outside the range of RGB.
        """
        alpha = [self._levels(len(self.planes) - 1, box) / self._max] if self.has_alpha else []
        if self.luma_shares is None:
            colors = [self._scaled(index, box) for index in range(len(self.planes) - self.has_alpha)]
            return torch.stack([*colors, *alpha])
        luma = self._scaled(0, box)
        blue_chroma, red_chroma = (self._enlarged(self._scaled(index, box), luma) for index in (1, 2))
        return torch.cat([_to_rgb(luma, blue_chroma, red_chroma, self.luma_shares), *(one[None] for one in alpha)])

    def write(self, box: PixelBox, before: Tensor, after: Tensor, mask: Tensor) -> None:
        """Replace the colors in ``box`` by ``after`` (C, h, w) where ``mask`` (1, h, w) is above 0; alpha stays.

        ``before`` is the result of ``read``. All other samples stay bit-identical. A chroma sample is replaced if the mask is above
        0 at any of its pixels. The frame must be writable.
        """
        if self.luma_shares is None:
            for index in range(len(self.planes) - self.has_alpha):
                self._store(index, box, after[index], mask[0])
            return
        old, new = (_to_yuv(colors[:3], self.luma_shares) for colors in (before, after))
        self._store(0, box, new[0], mask[0])
        share = self._reduced(mask[0])
        for index in (1, 2):
            # Enlarging and reducing chroma loses detail, which is added again with the weight of the frame (1 - share).
            detail = self._scaled(index, box) - self._reduced(old[index])
            self._store(index, box, self._reduced(new[index]) + (1 - share) * detail, share)

    @property
    def _max(self) -> int:
        return 2**self.bits - 1

    def _range(self, index: int) -> tuple[float, float]:
        """Return the level that stands for 0 in a plane, and the number of levels from 0 to 1. Chroma ranges from -0.5 to 0.5."""
        is_chroma = self.luma_shares is not None and index in (1, 2)
        unit = 2 ** (self.bits - 8)
        if is_chroma:
            return 128.0 * unit, float(self._max) if self.is_full_range else 224.0 * unit
        return (0.0, float(self._max)) if self.is_full_range else (16.0 * unit, 219.0 * unit)

    def _cut(self, index: int, box: PixelBox) -> NDArray[Any]:
        """Return the part of a plane in ``box`` as a view."""
        is_chroma = self.luma_shares is not None and index in (1, 2)
        across, down = self.subsampling if is_chroma else (1, 1)
        return self.planes[index][
            box.top // down : -(-box.bottom // down), box.left // across : -(-box.right // across)
        ]

    def _levels(self, index: int, box: PixelBox) -> Tensor:
        return torch.from_numpy(self._cut(index, box).astype(np.float32))

    def _scaled(self, index: int, box: PixelBox) -> Tensor:
        zero, span = self._range(index)
        return (self._levels(index, box) - zero) / span

    def _store(self, index: int, box: PixelBox, values: Tensor, mask: Tensor) -> None:
        zero, span = self._range(index)
        plane = self._cut(index, box)
        levels = (values * span + zero).round().clamp(0, self._max).numpy().astype(plane.dtype)
        np.copyto(plane, levels, where=mask.numpy() > 0)

    def _enlarged(self, chroma: Tensor, luma: Tensor) -> Tensor:
        if self.subsampling == (1, 1):
            return chroma
        across, down = self.subsampling
        size = (chroma.shape[0] * down, chroma.shape[1] * across)
        wide = F.interpolate(chroma[None, None], size, mode="bilinear", align_corners=False)[0, 0]
        return wide[: luma.shape[0], : luma.shape[1]]

    def _reduced(self, plane: Tensor) -> Tensor:
        if self.subsampling == (1, 1):
            return plane
        across, down = self.subsampling
        return F.avg_pool2d(plane[None], (down, across), ceil_mode=True, count_include_pad=False)[0]


def _luma_shares(frame: VideoFrame) -> tuple[float, float]:
    if frame.colorspace in _LUMA_SHARES:
        return _LUMA_SHARES[frame.colorspace]
    return _LUMA_SHARES[1 if frame.height >= _MIN_HD_HEIGHT else 6]


def _to_rgb(luma: Tensor, blue_chroma: Tensor, red_chroma: Tensor, shares: tuple[float, float]) -> Tensor:
    of_red, of_blue = shares
    red = luma + 2 * (1 - of_red) * red_chroma
    blue = luma + 2 * (1 - of_blue) * blue_chroma
    green = (luma - of_red * red - of_blue * blue) / (1 - of_red - of_blue)
    return torch.stack([red, green, blue])


def _to_yuv(rgb: Tensor, shares: tuple[float, float]) -> Tensor:
    of_red, of_blue = shares
    red, green, blue = rgb
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    return torch.stack([luma, (blue - luma) / (2 * (1 - of_blue)), (red - luma) / (2 * (1 - of_red))])
