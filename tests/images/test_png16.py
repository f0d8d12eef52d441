"""Compare PNG files with 16 bits per channel with a direct implementation of the PNG specification."""

from __future__ import annotations

import struct
import sys
import zlib
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from psfr_core.errors import MissingPackageError
from psfr_core.images.png16 import decode_png16, encode_png16, split_png16


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def paeth(left: int, up: int, up_left: int) -> int:
    estimate = left + up - up_left
    return min((left, up, up_left), key=lambda value: abs(estimate - value))  # min returns the first of equal values


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


# Interlace pass of each pixel of an 8 x 8 block (PNG specification, section 8.2).
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


def decoded(data: bytes) -> NDArray[np.uint16]:
    parts = split_png16(data)
    assert parts is not None
    return decode_png16(parts)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 1), (13, 6), (6, 13)])
@pytest.mark.parametrize("interlace", [0, 1])
def test_all_filters_are_decoded(channels: int, height: int, width: int, interlace: int) -> None:
    random = np.random.default_rng(height * width + channels)
    pixels = random.integers(0, 65536, (height, width, channels)).astype(np.uint16)
    for kinds in [np.full(height, kind) for kind in range(5)] + [random.integers(0, 5, height) for _ in range(3)]:
        np.testing.assert_array_equal(decoded(png(pixels, kinds, interlace=interlace)), pixels)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_written_files_are_readable_by_pillow(channels: int) -> None:
    pixels = np.random.default_rng(channels).integers(0, 256, (9, 7, channels)).astype(np.uint16) * 257
    data = encode_png16(pixels)
    assert data[24:26] == bytes([16, {1: 0, 2: 4, 3: 2, 4: 6}[channels]])
    with Image.open(BytesIO(data)) as image:
        read = np.asarray(image).reshape(9, 7, -1)
    expected = pixels if channels == 1 else pixels // 257
    np.testing.assert_array_equal(read[..., [0, -1]] if channels == 2 else read, expected)
    np.testing.assert_array_equal(decoded(data), pixels)


def test_interlaced_files_are_decoded_like_in_pillow() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (11, 13, 3)).astype(np.uint16) * 257
    data = png(pixels, np.full(11, 4), interlace=1)
    with Image.open(BytesIO(data)) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels // 257)
    np.testing.assert_array_equal(decoded(data), pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_color_becomes_alpha(channels: int) -> None:
    pixels = np.array([[[1, 2, 3], [1, 2, 4]]], np.uint16)[..., -channels:]
    color = struct.pack(f">{channels}H", *pixels[0, 0])
    read = decoded(png(pixels, np.zeros(1, int), chunk(b"tRNS", color)))
    assert read.tolist() == [[[*pixels[0, 0].tolist(), 0], [*pixels[0, 1].tolist(), 65535]]]


def test_other_chunks_do_not_change_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (4, 5, 3)).astype(np.uint16)
    rotated = Image.Exif()
    rotated[0x0112] = 6
    extra = [
        chunk(b"gAMA", struct.pack(">I", 100000)),
        chunk(b"sBIT", bytes([5, 6, 5])),
        chunk(b"bKGD", struct.pack(">3H", 9, 9, 9)),
        chunk(b"eXIf", rotated.tobytes().removeprefix(b"Exif\0\0")),
        chunk(b"acTL", struct.pack(">II", 1, 0)),
    ]
    np.testing.assert_array_equal(decoded(png(pixels, np.full(4, 4), b"".join(extra))), pixels)


def test_only_png_files_with_16_bits_are_split() -> None:
    pixels = np.zeros((2, 2, 3), np.uint16)
    plain, adam7 = png(pixels, np.zeros(2, int)), png(pixels, np.zeros(2, int), interlace=1)
    buffer = BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "PNG")
    assert [split_png16(data) is not None for data in (plain, adam7)] == [True, True]
    assert [split_png16(data) for data in (buffer.getvalue(), b"", b"GIF89a")] == [None] * 3


def test_end_chunk_may_be_missing() -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (8, 8, 3)).astype(np.uint16)
    np.testing.assert_array_equal(decoded(encode_png16(pixels)[:-12]), pixels)


def with_header(data: bytes, header: bytes) -> bytes:
    return data[:8] + chunk(b"IHDR", header) + data[33:]


def test_damaged_files_raise() -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (8, 8, 3)).astype(np.uint16)
    good = png(pixels, np.full(8, 4))
    flipped = bytearray(good)
    flipped[70] ^= 1
    with pytest.raises(ValueError, match="IDAT chunk is damaged"):
        decoded(bytes(flipped))
    for length in (100, len(good) - 13):
        with pytest.raises(ValueError, match="damaged or truncated"):
            decoded(good[:length])
    with pytest.raises(ValueError, match="header is invalid"):
        decoded(png(pixels, np.zeros(8, int), interlace=2))
    # Both headers describe more image data than the file contains.
    taller, interlaced = struct.pack(">II5B", 8, 9, 16, 2, 0, 0, 0), good[16:28] + b"\1"
    for header in (taller, interlaced):
        with pytest.raises(ValueError, match="truncated"):
            decoded(with_header(good, header))
    with pytest.raises(ValueError, match="cannot decode"):
        decoded(with_bad_filter(pixels))


def with_bad_filter(pixels: NDArray[np.uint16]) -> bytes:
    """Return a PNG file whose rows use an undefined filter type."""
    rows = b"".join(b"\x09" + row.astype(">u2").tobytes() for row in pixels)
    start = png(pixels, np.zeros(len(pixels), int))[:33]
    return start + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("start", "end", "content"),
    [(8, 12, b"\0\0\0\x0e"), (12, 16, b"IHDX"), (29, 33, b"\0\0\0\0"), (16, 24, struct.pack(">II", 60000, 60000))],
    ids=["length", "type", "checksum", "size"],
)
def test_invalid_headers_are_rejected_before_memory_is_allocated(start: int, end: int, content: bytes) -> None:
    data = bytearray(encode_png16(np.zeros((2, 2, 4), np.uint16)))
    data[start:end] = content
    with pytest.raises(ValueError, match="header is invalid"):
        split_png16(bytes(data))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_only_color_needs_opencv(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (4, 4, channels)).astype(np.uint16)
    data = encode_png16(pixels)
    monkeypatch.setitem(sys.modules, "cv2", None)
    if channels <= 2:
        np.testing.assert_array_equal(decoded(encode_png16(pixels)), pixels)
        return
    with pytest.raises(MissingPackageError, match=r"Reading a color PNG .* pip install opencv-python-headless"):
        decoded(data)
    with pytest.raises(MissingPackageError, match=r"Writing a color PNG .* pip install opencv-python-headless"):
        encode_png16(pixels)
