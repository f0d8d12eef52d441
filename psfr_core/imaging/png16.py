"""PNG files of 16 bit a channel, which Pillow reads and writes with 8 bit when they have colour or alpha."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS_OF_COLOR_TYPE = {0: 1, 2: 3, 4: 2, 6: 4}  # grey, RGB, grey + alpha, RGB + alpha
_PAETH = 4
_BLOCK_ROWS = 64  # filtered at a time: the arithmetic takes ten times the memory of what it is done with
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


class _Header(NamedTuple):
    width: int
    height: int
    bit_depth: int
    color_type: int
    compression: int
    filtering: int
    interlace: int


def is_png16(data: bytes) -> bool:
    """Whether ``data`` begins like a PNG file of 16 bit that ``decode_png16`` can read."""
    header = _header(data)
    return header is not None and header.bit_depth == 16


def decode_png16(data: bytes) -> NDArray[np.uint16]:
    """The pixels (H, W, C) of a PNG file for which ``is_png16`` holds; a transparent colour becomes an alpha channel.

    Raises ValueError, or zlib.error, for a damaged file.
    """
    header = _header(data)
    if header is None or header.color_type not in _CHANNELS_OF_COLOR_TYPE or header.interlace > 1:
        raise ValueError("the file has no valid PNG header")
    chunks: dict[bytes, bytes] = {}
    packed: list[bytes] = []
    for kind, content in _chunks(data):
        if kind == b"IDAT":
            packed.append(content)
        chunks.setdefault(kind, content)
    channels = _CHANNELS_OF_COLOR_TYPE[header.color_type]
    pixels = np.zeros((header.height, header.width, channels), np.uint16)
    _fill(_passes(pixels) if header.interlace else [pixels], b"".join(packed))
    return _with_transparent_color(pixels, chunks[b"tRNS"]) if b"tRNS" in chunks else pixels


def encode_png16(pixels: NDArray[np.uint16], icc_profile: bytes | None, exif: bytes = b"") -> bytes:
    """A PNG file of ``pixels`` (H, W, C) with 1 to 4 channels: grey, grey + alpha, RGB, RGB + alpha."""
    height, width, channels = pixels.shape
    color_type = {count: kind for kind, count in _CHANNELS_OF_COLOR_TYPE.items()}[channels]
    file = [SIGNATURE, _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0))]
    if icc_profile is not None:
        file.append(_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile)))
    if exif:
        file.append(_chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")))
    packer = zlib.compressobj()
    packed = [packer.compress(_filtered(pixels, top)) for top in range(0, height, _BLOCK_ROWS)]
    file += [_chunk(b"IDAT", b"".join([*packed, packer.flush()])), _chunk(b"IEND", b"")]
    return b"".join(file)


def _filtered(pixels: NDArray[np.uint16], top: int) -> bytes:
    """The block of rows from ``top`` on as a file holds it: each row after the number of its filter, here always Paeth."""
    block = pixels[max(top - 1, 0) : top + _BLOCK_ROWS].astype(">u2")
    values = block.view(np.uint8).reshape(*block.shape[:2], -1)
    padded = np.pad(values, ((0 if top else 1, 0), (1, 0), (0, 0))).astype(np.int16)  # zeros before the image
    predicted = _paeth(padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1])
    rows = (padded[1:, 1:] - predicted).astype(np.uint8)
    return np.insert(rows.reshape(len(rows), -1), 0, _PAETH, axis=1).tobytes()


def _header(data: bytes) -> _Header | None:
    if not data.startswith(SIGNATURE) or len(data) < 33:
        return None
    return _Header(*struct.unpack(">IIBBBBB", data[16:29]))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        if position + 12 > len(data):
            raise ValueError("the file ends too early")
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        content = data[position + 8 : position + 8 + length]
        checksum = data[position + 8 + length : position + 12 + length]
        if struct.pack(">I", zlib.crc32(kind + content)) != checksum:
            raise ValueError(f"the {kind.decode('latin-1')} block is damaged or cut off")
        yield kind, content
        position += 12 + length


def _paeth(left: NDArray[np.int16], up: NDArray[np.int16], up_left: NDArray[np.int16]) -> NDArray[np.int16]:
    # PNG specification 9.4: the neighbour nearest to left + up - up_left; ties go to left, then up.
    to_left, to_up, to_up_left = abs(up - up_left), abs(left - up_left), abs(left + up - 2 * up_left)
    nearest_other = np.where(to_up <= to_up_left, up, up_left)
    return np.where((to_left <= to_up) & (to_left <= to_up_left), left, nearest_other)


def _unfilter(filters: NDArray[np.uint8], values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Undo the rows' filters, a diagonal at a time: its pixels need only pixels of the two diagonals before."""
    if filters.max(initial=0) > _PAETH:
        raise ValueError(f"there is no PNG filter {filters.max()}")
    height, width, pixel_bytes = values.shape
    stride = width + 1  # one column and one row of zeros before the image
    cells = np.pad(values, ((1, 0), (1, 0), (0, 0))).reshape(-1, pixel_bytes).astype(np.int16)
    for diagonal in range(2, height + width + 1):  # the pixels with row + column = diagonal, both counted from 1
        first, last = max(1, diagonal - width), min(height, diagonal - 1)
        start = first * stride + diagonal - first
        stop = last * stride + diagonal - last + 1
        here, left = cells[start:stop:width], cells[start - 1 : stop - 1 : width]
        up, up_left = (
            cells[start - stride : stop - stride : width],
            cells[start - stride - 1 : stop - stride - 1 : width],
        )
        kinds = filters[first - 1 : last, None]
        predicted = np.choose(kinds, [np.zeros_like(left), left, up, (left + up) // 2, _paeth(left, up, up_left)])
        here[:] = (here + predicted) & 255
    return cells.reshape(height + 1, stride, pixel_bytes)[1:, 1:].astype(np.uint8)


def _passes(pixels: NDArray[np.uint16]) -> list[NDArray[np.uint16]]:
    """The views of ``pixels`` that an interlaced file holds one after the other (PNG specification 8.2, Adam7)."""
    views = [pixels[top::row_step, left::column_step] for top, left, row_step, column_step in _ADAM7]
    return [view for view in views if view.size]


def _fill(parts: list[NDArray[np.uint16]], packed: bytes) -> None:
    """Write the image data of a file into the pictures (H, W, C) it consists of."""
    shapes = [(height, 1 + width * channels * 2) for height, width, channels in (part.shape for part in parts)]
    announced = sum(height * row_bytes for height, row_bytes in shapes)
    filtered = zlib.decompressobj().decompress(packed, announced)  # never more, whatever is packed there
    if len(filtered) != announced:
        raise ValueError("image data are truncated")
    start = 0
    for part, shape in zip(parts, shapes, strict=True):
        rows = np.frombuffer(filtered, np.uint8, shape[0] * shape[1], start).reshape(shape)
        values = _unfilter(rows[:, 0], rows[:, 1:].reshape(*part.shape[:2], -1))
        part[:] = np.ascontiguousarray(values).view(">u2")
        start += rows.size


def _with_transparent_color(pixels: NDArray[np.uint16], color: bytes) -> NDArray[np.uint16]:
    is_transparent = (pixels == np.frombuffer(color, ">u2")).all(axis=2, keepdims=True)
    return np.concatenate([pixels, np.where(is_transparent, 0, 65535).astype(np.uint16)], axis=2)
