"""CMYK images are converted to sRGB with their own profile."""

from __future__ import annotations

import struct
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from psfr_core.images.color_profile import srgb_profile
from psfr_core.images.io import read_image, write_image


def gray_inks_profile() -> bytes:
    """Return a CMYK profile with four gray inks, each of which lowers the lightness by 25 of 100."""
    nodes = [(0xFF00 * (4 - sum(inks)) // 4, 0x8000, 0x8000) for inks in product((0, 1), repeat=4)]  # L*, a*, b*
    identity = struct.pack(">9i", *(65536 * one for one in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    ramp = struct.pack(">2H", 0, 65535)
    table = b"mft2" + bytes([0, 0, 0, 0, 4, 3, 2, 0]) + identity + struct.pack(">2H", 2, 2) + ramp * 4
    table += b"".join(struct.pack(">3H", *node) for node in nodes) + ramp * 3
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    tags, start = [(b"A2B0", table), (b"wtpt", white)], 128 + 4 + 2 * 12
    places = [start, start + len(table)]
    index = b"".join(name + struct.pack(">2I", at, len(body)) for (name, body), at in zip(tags, places, strict=True))
    body = struct.pack(">I", len(tags)) + index + table + white
    head = struct.pack(">I4sI", 128 + len(body), b"\0\0\0\0", 0x02100000) + b"prtrCMYKLab " + bytes(12) + b"acsp"
    return head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061).ljust(60, b"\0") + body


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_cmyk_is_converted_to_srgb_with_its_profile(tmp_path: Path, name: str) -> None:
    inks = np.zeros((16, 32, 4), np.uint8)
    inks[:, 16:, 0] = 255  # cyan; without the profile it would be (0, 255, 255)
    cmyk = Image.frombytes("CMYK", (32, 16), inks.tobytes())
    cmyk.save(tmp_path / name, icc_profile=gray_inks_profile(), dpi=(300, 300))
    image = read_image(tmp_path / name)
    assert image.icc_profile == srgb_profile()
    levels = image.pixels.mul(255).round()
    np.testing.assert_allclose(levels[:, 4, 4].numpy(), 255, atol=2)
    np.testing.assert_allclose(levels[:, 4, 28].numpy(), 185, atol=2)  # L* = 75
    write_image(tmp_path / "b.png", image)
    assert (tmp_path / "b.png").stat().st_size < 2000
    with Image.open(tmp_path / "b.png") as written:
        assert written.info["icc_profile"] == srgb_profile()
        assert written.getexif().keys() <= {282, 283, 296}


@pytest.mark.parametrize(
    ("profile", "words"),
    [(b"", "CMYK colors but no color profile"), (gray_inks_profile()[:200], "damaged color profile")],
    ids=["none", "truncated"],
)
def test_conversion_without_a_usable_profile_is_approximate_and_logged(
    tmp_path: Path, profile: bytes, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / "a.tif", icc_profile=profile)
    image = read_image(tmp_path / "a.tif")
    assert image.icc_profile is None
    assert image.pixels[:, 0, 0].tolist() == [0, 1, 1]
    assert words in caplog.text
