"""Write and read short videos as lists of images."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..images.box import Size
from ..video.read_video import load_av, open_video

_RATE = 25  # frames per second


def write_clip(path: Path, frames: Sequence[Tensor], quality: int = 28) -> None:
    """Write ``frames`` (3, H, W), RGB in [0, 1] on the CPU, as an H.264 file with 25 frames per second. H and W must be even.

    ``quality`` is the constant rate factor, and higher values compress more. The default causes visible artifacts. Raises
    MissingPackageError if PyAV is not installed.
    """
    av = load_av()
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=_RATE, options={"crf": str(quality)})
        stream.width, stream.height, stream.pix_fmt = *Size.of(frames[0]), "yuv420p"
        for index, frame in enumerate(frames):
            pixels = (frame.permute(1, 2, 0) * 255).round().to(torch.uint8).contiguous().numpy()
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1, _RATE)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def read_clip(path: Path) -> list[Tensor]:
    """Return the frames (3, H, W) of a video file, RGB in [0, 1]. Raise the errors of ``open_video``."""
    with open_video(path) as reader:
        pixels = [torch.from_numpy(frame.to_ndarray(format="rgb24")) for frame in reader.frames()]
    return [frame.permute(2, 0, 1).float() / 255 for frame in pixels]
