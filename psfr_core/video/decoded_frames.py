"""Decode the frames of video files for the first pass, and number those of later passes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import VideoFileError
from .frame_planes import FramePlanes
from .orientation import turn_upright
from .pixel_formats import plane_arrays
from .read_video import FrameSample, VideoReader

if TYPE_CHECKING:
    import av

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class DecodedFrame:
    """A decoded frame in a planar format, which implements ``MovingFrame``."""

    index: int
    frame: av.VideoFrame

    def to_read(self) -> FramePlanes:
        """Return the samples, which must not be changed, because the decoder may still need them."""
        return FramePlanes.of(self.frame)

    def to_write(self) -> FramePlanes:
        """Return samples that can be changed."""
        self.frame.make_writable()
        return FramePlanes.of(self.frame)

    def repeat(self, before: DecodedFrame) -> None:
        """Copy the samples of the frame ``before``."""
        self.frame.make_writable()
        for new, old in zip(plane_arrays(self.frame), plane_arrays(before.frame), strict=True):
            np.copyto(new, old)


def upright_colors(reader: VideoReader, timestamps: list[int]) -> Iterator[Tensor | None]:
    """Yield the upright colors (3, H, W) of each frame, RGB in [0, 1], or None for a frame that is equal to the previous one.

    Appends the timestamp of each frame to ``timestamps``. Raises VideoFileError if no frame can be decoded.
    """
    before: av.VideoFrame | None = None
    for frame in reader.frames():
        sample = reader.sample or FrameSample.of(frame)
        if before is None and sample.is_interlaced:
            _log.warning("%s is interlaced: fields are restored as one image. Deinterlace it first.", reader.path)
        timestamps.append(int(frame.pts or 0))
        yield None if before is not None and _are_equal(before, frame) else _colors(frame, sample.quarters)
        before = frame
    if before is None:
        raise VideoFileError(f"{reader.path} has no frame that can be decoded.")


def numbered(frames: Iterable[av.VideoFrame], timestamps: Sequence[int]) -> Iterator[DecodedFrame]:
    """Yield ``frames`` with their indices in the ``timestamps`` of the first pass, or -1 for timestamps that are not there."""
    index_of = {timestamp: index for index, timestamp in enumerate(timestamps)}
    for frame in frames:
        yield DecodedFrame(index_of.get(int(frame.pts or 0), -1), frame)


def _colors(frame: av.VideoFrame, quarters: int) -> Tensor:
    pixels = torch.from_numpy(frame.to_ndarray(format="rgb24"))
    return turn_upright(pixels.permute(2, 0, 1).float() / 255, quarters).contiguous()


def _are_equal(one: av.VideoFrame, other: av.VideoFrame) -> bool:
    planes = zip(plane_arrays(one), plane_arrays(other), strict=True)
    return one.format.name == other.format.name and all(np.array_equal(first, second) for first, second in planes)
