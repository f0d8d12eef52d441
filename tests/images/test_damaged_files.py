"""Read damaged files of every format: with flipped bits, a missing end or replaced parts."""

from __future__ import annotations

import resource
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from psfr_core.errors import ImageFileError
from psfr_core.images.io import read_image
from psfr_core.images.png16 import encode_png16

MUTATIONS = 40
MEGABYTE = 1 << 10  # ru_maxrss counts in KiB


def encoded(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    y, x = np.mgrid[0:18, 0:26].astype(np.uint8)
    image = Image.fromarray(np.stack([x * 9, y * 13, x * y], axis=2)).convert(mode)
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def files() -> dict[str, bytes]:
    exif = Image.Exif()
    exif[0x0112], exif[0x0110] = 6, "a camera"
    exif.get_ifd(0x8825)[2] = (1.0, 2.0, 3.0)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    texts = PngInfo()
    texts.add_itxt("workflow", "{}", zip=True)
    sixteen = np.random.default_rng(0).integers(0, 65536, (9, 7, 4)).astype(np.uint16)
    rich: dict[str, Any] = {"exif": exif, "icc_profile": profile}
    return {
        "png": encoded("PNG", pnginfo=texts, dpi=(300, 300), **rich),
        "palette png": encoded("PNG", "P", transparency=3),
        "16-bit png": encode_png16(sixteen, encoded("PNG", pnginfo=texts, **rich)),
        "jpeg": encoded("JPEG", comment=b"by hand", dpi=(300, 300), xmp=b"<x/>", **rich),
        "progressive jpeg": encoded("JPEG", progressive=True, restart_marker_rows=1),
        "cmyk jpeg": encoded("JPEG", "CMYK", icc_profile=profile),
        "webp": encoded("WEBP", **rich),
        "lossless webp": encoded("WEBP", "RGBA", lossless=True),
        "gif": encoded("GIF", comment=b"old"),
        "bmp": encoded("BMP"),
        "tiff": encoded("TIFF", dpi=(300, 300), icc_profile=profile),
        "packed tiff": encoded("TIFF", compression="tiff_lzw"),
        "jpeg tiff": encoded("TIFF", compression="jpeg"),
        "avif": encoded("AVIF", speed=10, **rich),
        "jpeg 2000": encoded("JPEG2000"),
        "tga": encoded("TGA", compression="tga_rle"),
        "ppm": encoded("PPM"),
        "pcx": encoded("PCX"),
        "qoi": encoded("QOI"),
        "mpo": encoded("MPO", save_all=True, append_images=[Image.new("RGB", (26, 18))]),
    }


FILES = files()


def damaged(data: bytes, seed: int) -> Iterator[bytes]:
    random = np.random.default_rng(seed)
    for number in range(MUTATIONS):
        changed = bytearray(data)
        # Half of the mutations hit the beginning, which contains sizes and tables.
        reach = min(len(data), 96) if number % 2 else len(data)
        for offset in random.integers(0, reach, random.integers(1, 4)):
            changed[offset] ^= 1 << random.integers(0, 8)
        if number % 8 == 0:
            changed = changed[: random.integers(1, len(data))]
        if number % 8 == 1:
            start = random.integers(0, len(data))
            changed[start : start + 4] = random.bytes(4)
        yield with_checksums(bytes(changed)) if number % 4 else bytes(changed)


def with_checksums(data: bytes) -> bytes:
    """Correct the chunk checksums of a PNG file, so that damage reaches the decoder. Return other files unchanged."""
    if not data.startswith(b"\x89PNG"):
        return data
    offset, parts = 8, [data[:8]]
    while offset + 12 <= len(data):
        length = min(int.from_bytes(data[offset : offset + 4], "big"), len(data) - offset - 12)
        content = data[offset + 4 : offset + 8 + length]
        parts.append(length.to_bytes(4, "big") + content + zlib.crc32(content).to_bytes(4, "big"))
        offset += length + 12
    return b"".join(parts)


@pytest.mark.parametrize("kind", FILES)
def test_damaged_files_are_read_or_raise_an_error_with_their_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bad.png"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    results = {"read": 0, "rejected": 0, "not named": 0}
    for data in damaged(FILES[kind], seed=len(kind)):
        path.write_bytes(data)
        try:
            pixels = read_image(path, max_pixels=100_000).pixels
        except ImageFileError as error:
            results["rejected" if str(error).startswith(str(path)) else "not named"] += 1
        else:
            assert pixels.dtype == torch.float32
            assert 0 <= pixels.min() <= pixels.max() <= 1
            results["read"] += 1
    assert results["read"] > 0
    assert results["rejected"] > 0
    assert results["not named"] == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * MEGABYTE
