"""The PNG reader against rows filtered by the formulas of the PNG specification."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from psfr_core.imaging.png16 import decode_png16, encode_png16, is_png16


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def paeth(left: int, up: int, up_left: int) -> int:
    estimate = left + up - up_left
    return min((left, up, up_left), key=lambda value: abs(estimate - value))  # min keeps the first of equals


def filtered_row(kind: int, row: bytes, above: bytes, pixel_bytes: int) -> bytes:
    out = bytearray([kind])
    for x, value in enumerate(row):
        left = row[x - pixel_bytes] if x >= pixel_bytes else 0
        up_left = above[x - pixel_bytes] if x >= pixel_bytes else 0
        guess = [0, left, above[x], (left + above[x]) // 2, paeth(left, above[x], up_left)][kind]
        out.append((value - guess) % 256)
    return bytes(out)


def filtered(pixels: NDArray[np.uint16], kinds: NDArray[np.int64]) -> bytes:
    _, width, channels = pixels.shape
    rows = [bytes(2 * channels * width)] + [row.astype(">u2").tobytes() for row in pixels]
    return b"".join(filtered_row(int(kinds[y]), rows[y + 1], rows[y], 2 * channels) for y in range(len(pixels)))


# The pass in which each pixel of an 8 x 8 block comes, as the PNG specification 8.2 prints it.
ROWS = ("16462646", "77777777", "56565656", "77777777", "36463646", "77777777", "56565656", "77777777")
PASS_OF_PIXEL = np.array([[int(number) for number in row] for row in ROWS])


def interlaced(pixels: NDArray[np.uint16], kinds: NDArray[np.int64]) -> bytes:
    height, width, _ = pixels.shape
    passes = np.tile(PASS_OF_PIXEL, (height // 8 + 1, width // 8 + 1))[:height, :width]
    data = b""
    for number in range(1, 8):
        rows, columns = (np.unique(places) for places in np.nonzero(passes == number))
        if rows.size:
            data += filtered(pixels[np.ix_(rows, columns)], kinds[: rows.size])
    return data


def png(pixels: NDArray[np.uint16], kinds: NDArray[np.int64], extra: bytes = b"", interlace: int = 0) -> bytes:
    height, width, channels = pixels.shape
    data = (interlaced if interlace else filtered)(pixels, kinds)
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, interlace)
    packed = zlib.compress(data)
    parts = [chunk(b"IHDR", header), extra, chunk(b"IDAT", packed[:9]), chunk(b"IDAT", packed[9:]), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 1), (13, 6), (6, 13)])
@pytest.mark.parametrize("interlace", [0, 1])
def test_every_filter_is_undone(channels: int, height: int, width: int, interlace: int) -> None:
    random = np.random.default_rng(height * width + channels)
    pixels = random.integers(0, 65536, (height, width, channels)).astype(np.uint16)
    for kinds in [np.full(height, kind) for kind in range(5)] + [random.integers(0, 5, height) for _ in range(3)]:
        np.testing.assert_array_equal(decode_png16(png(pixels, kinds, interlace=interlace)), pixels)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_written_files_are_read_by_pillow_too(channels: int) -> None:
    pixels = np.random.default_rng(channels).integers(0, 256, (9, 7, channels)).astype(np.uint16) * 257
    data = encode_png16(pixels, None)
    with Image.open(BytesIO(data)) as image:
        read = np.asarray(image).reshape(9, 7, -1)
    expected = pixels if channels == 1 else pixels // 257
    np.testing.assert_array_equal(read[..., [0, -1]] if channels == 2 else read, expected)
    np.testing.assert_array_equal(decode_png16(data), pixels)


@pytest.mark.parametrize("height", [63, 64, 65, 130])
def test_rows_that_are_filtered_in_blocks_fit_together(height: int) -> None:
    pixels = np.random.default_rng(height).integers(0, 65536, (height, 5, 3)).astype(np.uint16)
    data = encode_png16(pixels, None)
    np.testing.assert_array_equal(decode_png16(data), pixels)
    packed = data[data.index(b"IDAT") + 4 :]
    assert zlib.decompressobj().decompress(packed) == filtered(pixels, np.full(height, 4))


def test_filtering_takes_less_memory_than_the_picture() -> None:
    pixels = np.zeros((2000, 500, 3), np.uint16)  # the file is small
    tracemalloc.start()
    try:
        encode_png16(pixels, None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < pixels.nbytes


def test_pillow_reads_the_same_from_an_interlaced_file() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (11, 13, 3)).astype(np.uint16) * 257
    data = png(pixels, np.full(11, 4), interlace=1)
    with Image.open(BytesIO(data)) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels // 257)
    np.testing.assert_array_equal(decode_png16(data), pixels)


def test_transparent_color_becomes_alpha() -> None:
    pixels = np.array([[[1, 2, 3], [1, 2, 4]]], np.uint16)
    read = decode_png16(png(pixels, np.zeros(1, int), chunk(b"tRNS", struct.pack(">3H", 1, 2, 3))))
    assert read.tolist() == [[[1, 2, 3, 0], [1, 2, 4, 65535]]]


def test_which_files_are_meant() -> None:
    pixels = np.zeros((2, 2, 3), np.uint16)
    plain, adam7 = png(pixels, np.zeros(2, int)), png(pixels, np.zeros(2, int), interlace=1)
    buffer = BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "PNG")
    assert [is_png16(data) for data in (plain, adam7)] == [True, True]
    assert [is_png16(data) for data in (buffer.getvalue(), b"", plain[:20])] == [False] * 3


def test_damaged_files_are_refused() -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (8, 8, 3)).astype(np.uint16)
    good = encode_png16(pixels, None)
    flipped = bytearray(good)
    flipped[60] ^= 1
    with pytest.raises(ValueError, match="IDAT block is damaged"):
        decode_png16(bytes(flipped))
    with pytest.raises(ValueError, match="damaged or cut off"):
        decode_png16(good[:100])
    with pytest.raises(ValueError, match="ends too early"):
        decode_png16(good[:-12])
    with pytest.raises(ValueError, match="no valid PNG header"):
        decode_png16(png(pixels, np.zeros(8, int), interlace=2))
    taller = good[:16] + struct.pack(">II", 8, 9) + good[24:29]
    in_passes = good[:28] + b"\1"  # whose rows are more than those in the file
    for start in (taller, in_passes):
        with pytest.raises(ValueError, match="truncated"):
            decode_png16(start + struct.pack(">I", zlib.crc32(start[12:])) + good[33:])
