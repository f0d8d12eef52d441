"""Read and write PNG files with 16 bits per channel. Color files need OpenCV, because Pillow reduces them to 8 bits per channel."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..optional_package import import_optional

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_START = _SIGNATURE + b"\0\0\0\x0dIHDR"
_END = b"\0\0\0\0IEND\xaeB`\x82"
_CHANNELS_OF_COLOR_TYPE = {0: 1, 2: 3, 4: 2, 6: 4}  # gray, RGB, gray + alpha, RGBA
_GRAY_ALPHA16, _RGBA8 = (16, 4), (8, 6)  # bit depth and color type
_HEADER_BYTES = 33  # length of the header chunk and the signature before it
# Top row, left column, row step and column step of each pass, without and with interlacing.
_WHOLE = ((0, 0, 1, 1),)
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
_BLOCK_BYTES = 1 << 16  # a compressed block, which expands to at most about 1000 times its size


@dataclass(frozen=True)
class Png16:
    """A PNG file with 16 bits per channel, split into two PNG files.

    ``metadata`` contains everything except the image data, and ``image`` contains only the header and the image data. Pixels with
    the channel values ``transparent_color``, if not None, are transparent.
    """

    metadata: bytes
    image: bytes
    width: int
    height: int
    channels: int
    is_interlaced: bool
    transparent_color: tuple[int, ...] | None

    @property
    def data_bytes(self) -> int:
        """Size of the decompressed image data in bytes."""
        passes = _ADAM7 if self.is_interlaced else _WHOLE
        sizes = [
            (-(-(self.height - top) // row_step), -(-(self.width - left) // column_step))
            for top, left, row_step, column_step in passes
        ]
        return sum(rows * (1 + columns * self.channels * 2) for rows, columns in sizes if rows > 0 and columns > 0)


def split_png16(data: bytes) -> Png16 | None:
    """Split the PNG file ``data``. Return None for files with fewer than 16 bits per channel and for other formats.

    Raises ValueError for an invalid PNG header, and ValueError or struct.error for damaged chunks of a 16-bit file.
    """
    if not data.startswith(_SIGNATURE):
        return None
    width, height, bit_depth, color_type, *_, interlace = _header(data)
    if bit_depth != 16:
        return None
    if color_type not in _CHANNELS_OF_COLOR_TYPE or interlace > 1:
        raise ValueError("its PNG header is invalid")
    channels = _CHANNELS_OF_COLOR_TYPE[color_type]
    metadata, image = [data[:_HEADER_BYTES]], [data[:_HEADER_BYTES]]
    transparent_color = None
    for kind, content, chunk in _chunks(data):
        (image if kind == b"IDAT" else metadata).append(chunk)
        if kind == b"tRNS":
            transparent_color = struct.unpack(f">{channels}H", content)
    metadata += [_chunk(b"IDAT", b""), _END]
    image.append(_END)
    parts = b"".join(metadata), b"".join(image)
    return Png16(*parts, width, height, channels, interlace == 1, transparent_color)


def decode_png16(png: Png16) -> NDArray[np.uint16]:
    """Decode the pixels (H, W, C) of ``png``. If the file has a transparent color, an alpha channel is added.

    Raises ValueError for truncated image data, an error of the decoder for damaged data, and MissingPackageError for color if
    OpenCV is not installed.
    """
    _check_image_data(png)
    pixels = _decode_with_pillow(png) if png.channels <= 2 else _decode_with_opencv(png)
    if png.transparent_color is None:
        return pixels
    is_transparent = (pixels == np.array(png.transparent_color, np.uint16)).all(axis=2, keepdims=True)
    return np.concatenate([pixels, np.where(is_transparent, 0, 65535).astype(np.uint16)], axis=2)


def encode_png16(pixels: NDArray[np.uint16], metadata: bytes = b"") -> bytes:
    """Encode ``pixels`` (H, W, C) as PNG; the channels are gray, gray + alpha, RGB or RGBA.

    The chunks of the PNG file ``metadata``, except header and image data, are copied into the result. Raises MissingPackageError
    for color if OpenCV is not installed, and ValueError if OpenCV cannot encode the pixels.
    """
    file = _encode_with_pillow(pixels) if pixels.shape[2] <= 2 else _encode_with_opencv(pixels)
    extra = [chunk for kind, _, chunk in _chunks(metadata) if kind != b"IDAT"]
    return b"".join([file[:_HEADER_BYTES], *extra, file[_HEADER_BYTES:]])


def _decode_with_pillow(png: Png16) -> NDArray[np.uint16]:
    # Pillow keeps 16 bits only for gray. Gray + alpha is relabeled as 8-bit RGBA, whose pixels have as many bytes.
    file = png.image if png.channels == 1 else _relabeled(png.image, *_RGBA8)
    with Image.open(BytesIO(file), formats=["PNG"]) as image:
        pixels = np.asarray(image)
    if png.channels == 2:
        return pixels.view(">u2")
    return pixels[..., None].astype(np.uint16, copy=False)  # Pillow 10 returns 32 bits


def _encode_with_pillow(pixels: NDArray[np.uint16]) -> bytes:
    buffer = BytesIO()
    if pixels.shape[2] == 1:
        Image.fromarray(pixels[..., 0]).save(buffer, "PNG")
        return buffer.getvalue()
    Image.fromarray(pixels.astype(">u2").view(np.uint8)).save(buffer, "PNG")
    return _relabeled(buffer.getvalue(), *_GRAY_ALPHA16)


def _decode_with_opencv(png: Png16) -> NDArray[np.uint16]:
    opencv = _opencv("Reading")
    pixels = opencv.imdecode(np.frombuffer(png.image, np.uint8), opencv.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.shape != (png.height, png.width, png.channels):
        raise ValueError(f"OpenCV {opencv.__version__} cannot decode it")
    return opencv.cvtColor(pixels, opencv.COLOR_BGR2RGB if png.channels == 3 else opencv.COLOR_BGRA2RGBA)


def _encode_with_opencv(pixels: NDArray[np.uint16]) -> bytes:
    opencv = _opencv("Writing")
    order = opencv.COLOR_RGB2BGR if pixels.shape[2] == 3 else opencv.COLOR_RGBA2BGRA
    is_encoded, file = opencv.imencode(".png", opencv.cvtColor(pixels, order))
    if not is_encoded:
        raise ValueError(f"OpenCV {opencv.__version__} cannot encode it")
    return file.tobytes()


def _opencv(purpose: str) -> Any:
    return import_optional("cv2", f"{purpose} a color PNG file with 16 bits per channel", "opencv-python-headless")


def _relabeled(file: bytes, bit_depth: int, color_type: int) -> bytes:
    """Return a PNG ``file`` with its bit depth and color type replaced in the header."""
    content = file[16:24] + bytes([bit_depth, color_type]) + file[26:29]
    return _SIGNATURE + _chunk(b"IHDR", content) + file[_HEADER_BYTES:]


def _header(data: bytes) -> tuple[int, ...]:
    """Return width, height, bit depth, color type, compression, filter and interlace method.

    Raises ValueError if the header is invalid.
    """
    if (
        not data.startswith(_HEADER_START)
        or len(data) < _HEADER_BYTES
        or zlib.crc32(data[12:29]).to_bytes(4, "big") != data[29:33]
    ):
        raise ValueError("its PNG header is invalid")
    return struct.unpack(">IIBBBBB", data[16:29])


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield the type, the content and all bytes of each chunk after the header and before the end chunk.

    The end chunk may be missing. Raises ValueError for a damaged or truncated chunk.
    """
    offset = _HEADER_BYTES
    while offset < len(data):
        length, kind = int.from_bytes(data[offset : offset + 4], "big"), data[offset + 4 : offset + 8]
        chunk = data[offset : offset + length + 12]
        if len(chunk) < length + 12 or zlib.crc32(memoryview(chunk)[4:-4]).to_bytes(4, "big") != chunk[-4:]:
            raise ValueError(f"the {kind.decode('latin-1')} chunk is damaged or truncated")
        if kind == b"IEND":
            return
        yield kind, chunk[8:-4], chunk
        offset += len(chunk)


def _check_image_data(png: Png16) -> None:
    """Raise ValueError if image data is missing. OpenCV would leave the missing pixels uninitialized."""
    inflater, found = zlib.decompressobj(), 0
    for _, content, _ in _chunks(png.image):
        for start in range(0, len(content), _BLOCK_BYTES):
            if found < png.data_bytes:
                found += len(inflater.decompress(content[start : start + _BLOCK_BYTES]))
    if found < png.data_bytes:
        raise ValueError("its image data is truncated")
