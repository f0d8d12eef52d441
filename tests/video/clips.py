"""Small video files for tests."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 160, 120
FORMATS_WITH_ALPHA = ("yuva420p", "gbrap")
TIMES = [0, 3, 4, 10, 17, 18, 40, 41, 42, 60, 61, 62, 63, 64, 70, 71]  # a variable frame rate


def random_frame(pixel_format: str, seed: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Any:
    """Return a frame of blocks of random values that any pixel format can store."""
    frame = av.VideoFrame(*size, pixel_format)
    random = np.random.default_rng(seed)
    bits = frame.format.components[0].bits
    for plane in frame.planes:
        samples = plane_of(plane, bits)
        blocks = random.integers(
            64 << (bits - 8), 192 << (bits - 8), (samples.shape[0] // 8 + 1, samples.shape[1] // 8 + 1)
        )
        np.copyto(samples, np.kron(blocks, np.ones((8, 8)))[: samples.shape[0], : samples.shape[1]], casting="unsafe")
    return frame


def plane_of(plane: Any, bits: int) -> NDArray[Any]:
    dtype = np.dtype(np.uint8 if bits <= 8 else np.uint16)
    width = plane.line_size // dtype.itemsize
    return np.frombuffer(plane, dtype).reshape(-1, width)[: plane.height, : plane.width]


def write_clip(
    path: Path,
    frames: Sequence[Any],
    *,
    codec: str = "ffv1",
    pixel_format: str | None = None,
    timestamps: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
    options: dict[str, str] | None = None,
    sound: str | None = None,
    rotation: float | None = None,
    display_matrix: Sequence[int] | None = None,
    **context: Any,
) -> Path:
    """Encode ``frames``, with a tone if ``sound`` names its codec."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height = frames[0].width, frames[0].height
        stream.pix_fmt = pixel_format or frames[0].format.name
        stream.codec_context.time_base = time_base
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        if display_matrix is not None:
            stream.set_display_matrix(display_matrix)
        audio: Any = container.add_stream(sound, rate=48000) if sound else None
        for index, frame in enumerate(frames):
            frame.pts = timestamps[index] if timestamps else index
            frame.time_base = time_base
            container.mux(stream.encode(frame))
        if audio is not None:
            for part in range(len(frames)):
                wave = np.sin(np.arange(1920) / 20 + part)[None].astype(np.float32).repeat(2, 0)
                tone = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave), format="fltp", layout="stereo")
                tone.sample_rate, tone.pts = 48000, part * 1920
                container.mux(audio.encode(tone))
            container.mux(audio.encode(None))
        container.mux(stream.encode(None))
    return path


def decoded(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def planes(frame: Any) -> list[NDArray[Any]]:
    """Copies of the planes of a frame of any planar format."""
    bits = frame.format.components[0].bits
    return [plane_of(plane, bits).copy() for plane in frame.planes]


def packets(path: Path, kind: str) -> list[tuple[float, bytes]]:
    """Times in seconds and contents of the packets of the streams of a kind."""
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        return [
            (float(packet.pts * packet.time_base), bytes(packet))
            for packet in container.demux(streams)
            if packet.dts is not None
        ]


def noisy_frames(count: int, repeats: tuple[int, ...] = ()) -> list[Any]:
    """Return frames of one picture with new noise each, so that results depend on the frames around."""
    frames = [random_frame("yuv420p", 0) for _ in range(count)]
    seed = 0
    for index, frame in enumerate(frames):
        seed += index not in repeats
        for plane in frame.planes:
            samples = plane_of(plane, 8)
            samples += np.random.default_rng(seed).integers(0, 12, samples.shape, dtype=np.uint8)
    return frames


def all_planes(path: Path) -> list[Any]:
    """Return the planes of all frames."""
    return [plane for frame in decoded(path) for plane in planes(frame)]


def are_equal(one: Path, other: Path) -> bool:
    """Return whether all planes of all frames are equal."""
    pairs = zip(all_planes(one), all_planes(other), strict=True)
    return all(np.array_equal(first, second) for first, second in pairs)
