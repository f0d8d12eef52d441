"""Test the pixel limit, missing plug-ins, and the conversion of decoder errors."""

from __future__ import annotations

import os
import struct
import sys
import warnings
import zlib
from pathlib import Path

import pytest
from PIL import Image

from psfr_core.errors import ImageFileError, OptionError
from psfr_core.images.decoding import MAX_PIXELS, decoding
from psfr_core.images.io import read_image
from psfr_core.parsing.parse_map import ParseMap


def save(path: Path, width: int = 64, height: int = 64) -> Path:
    Image.new("RGB", (width, height)).save(path)
    return path


def test_default_limit_accepts_photos_of_200_megapixels() -> None:
    assert 16_320 * 12_240 < MAX_PIXELS < 300_000_000


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.gif", "a.bmp"])
def test_pixel_limit_can_be_changed(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name)
    words = (
        rf"{name} is too large: it has 64 x 64 pixels, 0\.004096 megapixels, but the limit is 0\.004095\. .*max_pixels"
    )
    with pytest.raises(ImageFileError, match=words):
        read_image(path, max_pixels=4095)
    for limit in (4096, None):
        assert read_image(path, max_pixels=limit).pixels.shape == (3, 64, 64)
    with pytest.raises(OptionError, match="max_pixels must be at least 1"):
        read_image(path, max_pixels=0)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no FIFOs")
def test_pipes_are_rejected_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    for read in (read_image, ParseMap.from_png):
        with pytest.raises(ImageFileError, match="not a regular file"):
            read(tmp_path / "a.png")


@pytest.mark.parametrize("bit_depth", [8, 16])
def test_decompression_bombs_are_rejected_before_memory_is_allocated(tmp_path: Path, bit_depth: int) -> None:
    data = save(tmp_path / "a.png").read_bytes()
    header = b"IHDR" + struct.pack(">II5B", 100_000, 100_000, bit_depth, 2, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(data[:12] + header + zlib.crc32(header).to_bytes(4, "big") + data[33:])
    with pytest.raises(
        ImageFileError, match=r"a\.png is too large: it has more than 500 megapixels, but the limit is 250"
    ):
        read_image(tmp_path / "a.png")


def test_pillows_own_limit_is_ignored_and_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("a.png", "a.jpg", "a.webp", "a.tif"):
            monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
            path = save(tmp_path / name)
            monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
            assert read_image(path, max_pixels=5000).pixels.shape == (3, 64, 64)
            assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize("error", [RuntimeError, TypeError, AttributeError, ZeroDivisionError, RecursionError, OSError])
def test_errors_of_any_type_become_image_file_errors_with_the_file_name(error: type[Exception]) -> None:
    words = r"a\.avif cannot be read because it is damaged or truncated: odd\."
    with pytest.raises(ImageFileError, match=words), decoding(Path("a.avif")):
        raise error("odd")


def test_memory_errors_pass_unchanged() -> None:
    with pytest.raises(MemoryError), decoding(Path("a.png")):
        raise MemoryError


def test_missing_plug_in_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(ImageFileError, match=r"a\.heic .*(pip install pillow-heif|damaged)"):
        read_image(tmp_path / "a.heic")
