"""Test which suffixes of image files are readable, readable with a plug-in, and unreadable."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from PIL import Image

from psfr_core.images.formats import READABLE_SUFFIXES, is_readable, unreadable_reason
from psfr_core.images.io import find_images, read_image


@pytest.mark.parametrize("name", ["a.jfif", "a.JPE", "a.jp2", "a.j2k", "a.tga", "a.tif", "a.avif", "a.psd", "a.ppm"])
def test_suffixes_of_built_in_formats_are_readable(name: str) -> None:
    assert is_readable(Path(name))
    assert unreadable_reason(Path(name)) is None


@pytest.mark.parametrize(("name", "module"), [("a.heic", "pillow_heif"), ("a.HIF", "pillow_heif"), ("a.jxl", "jxlpy")])
def test_plug_ins_make_their_suffixes_readable(name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert not is_readable(Path(name))
    assert "pip install pillow-" in str(unreadable_reason(Path(name)))
    monkeypatch.setattr(importlib.util, "find_spec", lambda wanted: object() if wanted == module else None)
    assert is_readable(Path(name))
    assert unreadable_reason(Path(name)) is None


@pytest.mark.parametrize(("name", "words"), [("a.CR2", "raw camera data"), ("a.exr", "Export them as PNG")])
def test_unreadable_formats_have_a_reason(name: str, words: str) -> None:
    assert not is_readable(Path(name))
    assert words in str(unreadable_reason(Path(name)))


@pytest.mark.parametrize("name", ["a.txt", "a.json", "a", ".png", "a.mp4"])
def test_other_files_are_not_images(name: str) -> None:
    assert not is_readable(Path(name))
    assert unreadable_reason(Path(name)) is None


def test_formats_that_pillow_writes_are_read_with_all_their_suffixes(tmp_path: Path) -> None:
    image = Image.new("RGB", (16, 8), (200, 100, 50))
    Image.init()
    written: set[str] = set()
    for suffix in READABLE_SUFFIXES - {".avifs"}:
        if Image.registered_extensions().get(suffix) in Image.SAVE:
            written.add(suffix)
            (image.convert("1") if suffix == ".pbm" else image).save(tmp_path / f"a{suffix}")
            assert read_image(tmp_path / f"a{suffix}").pixels.shape[1:] == (8, 16), suffix
    assert len(written) >= len(READABLE_SUFFIXES) - 2  # Pillow cannot write PSD
    assert {path.suffix for path in find_images([tmp_path])} == written
