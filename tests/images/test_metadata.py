"""Texts, XMP, comments and resolution are kept if the format supports them, and losses are logged."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

from psfr_core.images.io import ImageFile, read_image, write_image

PIXELS = torch.rand(3, 6, 8, generator=torch.Generator().manual_seed(0))
WORKFLOW = json.dumps({"nodes": [{"id": 1, "title": "顔"}]}, ensure_ascii=False)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" dc:title="a face"/></x:xmpmeta>'
UPRIGHT_XMP = XMP.replace(b' tiff:Orientation="6"', b"")
IMAGE = Image.new("RGB", (8, 6), (200, 100, 50))


def with_texts(path: Path) -> Path:
    texts = PngInfo()
    texts.add_text("parameters", "steps: 20, sampler: Euler a")
    texts.add_text("workflow", WORKFLOW)  # the text is not Latin-1, so it becomes an iTXt chunk
    texts.add_itxt("Title", "Portrait", "en", "Title")
    texts.add_text("Comment", "by hand", zip=True)
    IMAGE.save(path, pnginfo=texts, dpi=(300, 150))
    return path


@pytest.mark.parametrize("bit_depth", [8, 16])
def test_png_keeps_texts_xmp_and_resolution(tmp_path: Path, bit_depth: int) -> None:
    image = replace(read_image(with_texts(tmp_path / "a.png")), bit_depth=bit_depth, xmp=UPRIGHT_XMP)
    write_image(tmp_path / "b.png", image)
    for read in (image, read_image(tmp_path / "b.png")):
        assert read.texts == {
            "parameters": "steps: 20, sampler: Euler a",
            "workflow": WORKFLOW,
            "Title": "Portrait",
            "Comment": "by hand",
        }
        assert read.dpi == pytest.approx((300, 150), abs=0.02)
        assert read.xmp == UPRIGHT_XMP
        assert read.bit_depth == bit_depth


@pytest.mark.parametrize("bit_depth", [8, 16])
def test_texts_after_the_image_data_are_read(tmp_path: Path, bit_depth: int) -> None:
    for name, texts in (("plain", {}), ("texts", {"workflow": "late"})):
        write_image(tmp_path / f"{name}.png", ImageFile(PIXELS, bit_depth, texts=texts))
    plain, texts = ((tmp_path / f"{name}.png").read_bytes() for name in ("plain", "texts"))
    start = texts.index(b"tEXt") - 4
    chunk = texts[start : start + len(texts) - len(plain)]
    (tmp_path / "late.png").write_bytes(plain[:-12] + chunk + plain[-12:])
    assert read_image(tmp_path / "late.png").texts == {"workflow": "late"}


def test_jpeg_keeps_comment_xmp_and_resolution(tmp_path: Path) -> None:
    IMAGE.save(tmp_path / "a.jpg", comment="für später".encode(), xmp=XMP, dpi=(300, 300))
    image = read_image(tmp_path / "a.jpg")
    for name in ("b.jpg", "b.png"):
        write_image(tmp_path / name, image)
        read = read_image(tmp_path / name)
        assert read.texts == {"Comment": "für später"}
        assert read.xmp == UPRIGHT_XMP
        assert read.dpi == pytest.approx((300, 300), abs=0.02)


def test_orientation_in_xmp_is_applied_once(tmp_path: Path) -> None:
    IMAGE.save(tmp_path / "a.jpg", xmp=XMP)
    for name, source in (("b.png", "a.jpg"), ("c.jpg", "b.png"), ("d.webp", "c.jpg")):
        write_image(tmp_path / name, read_image(tmp_path / source))
        assert read_image(tmp_path / name).pixels.shape == (3, 8, 6)


def test_webp_keeps_xmp_and_stores_the_resolution_in_the_exif_data(tmp_path: Path) -> None:
    write_image(tmp_path / "a.webp", ImageFile(PIXELS, xmp=UPRIGHT_XMP, dpi=(300, 150)))
    read = read_image(tmp_path / "a.webp")
    assert (read.xmp, read.dpi) == (UPRIGHT_XMP, (300, 150))
    with Image.open(tmp_path / "a.webp") as written:
        assert [float(written.getexif()[tag]) for tag in (282, 283, 296)] == [300, 150, 2]


@pytest.mark.parametrize(
    ("name", "lost"),
    [("b.jpg", r"its texts \(Title, parameters, workflow\)"), ("b.webp", r"\(Comment, Title, parameters, workflow\)")],
)
def test_lost_texts_are_logged(tmp_path: Path, name: str, lost: str, caplog: pytest.LogCaptureFixture) -> None:
    image = read_image(with_texts(tmp_path / "a.png"))
    with caplog.at_level(logging.WARNING):
        write_image(tmp_path / name, image)
    (record,) = caplog.records
    assert re.search(rf"{name} loses .*{lost}.*use \.png", record.getMessage())


def test_metadata_too_long_for_jpeg_is_dropped_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_image(tmp_path / "a.jpg", ImageFile(PIXELS, xmp=b"x" * 70_000, texts={"Comment": "x" * 70_000}))
    assert "loses its XMP data" in caplog.text
    assert "loses its comment" in caplog.text
    read = read_image(tmp_path / "a.jpg")
    assert (read.xmp, read.texts) == (None, {})


def test_missing_metadata_stays_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    exif = Image.Exif()
    exif[0x0110] = "a camera"
    IMAGE.save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif").dpi is None
    IMAGE.save(tmp_path / "a.jpg", exif=exif)
    for source, name in (("a.jpg", "b.png"), ("b.png", "c.jpg"), ("c.jpg", "d.webp"), ("d.webp", "e.png")):
        write_image(tmp_path / name, read_image(tmp_path / source))
        read = read_image(tmp_path / name)
        assert (read.dpi, read.xmp, read.texts, read.icc_profile) == (None, None, {}, None)
    assert not caplog.records


def test_storage_tags_of_tiff_files_are_dropped(tmp_path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[270], tags[315], tags[700], tags[33432] = "a portrait", "an artist", XMP, "CC0"
    IMAGE.save(tmp_path / "a.tif", tiffinfo=tags, dpi=(300, 300))
    image = read_image(tmp_path / "a.tif")
    assert b"a face" in (image.xmp or b"")
    assert b"Orientation" not in (image.xmp or b"")
    assert image.dpi == (300, 300)
    for name in ("b.png", "b.jpg", "b.webp"):
        write_image(tmp_path / name, image)
        with Image.open(tmp_path / name) as written:
            assert written.getexif().keys() == {270, 282, 283, 296, 315, 33432}


def test_lost_iptc_data_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    iptc = b"\x1c\x02\x05\0\x04face"
    resource = b"8BIM\x04\x04\0\0" + len(iptc).to_bytes(4, "big") + iptc + b"\0"
    content = b"Photoshop 3.0\0" + resource
    IMAGE.save(tmp_path / "a.jpg", extra=b"\xff\xed" + (2 + len(content)).to_bytes(2, "big") + content)
    read_image(tmp_path / "a.jpg")
    assert "a.jpg has IPTC data, which is lost" in caplog.text


def test_gif_comment_is_kept(tmp_path: Path) -> None:
    IMAGE.save(tmp_path / "a.gif", comment=b"old scan")
    assert read_image(tmp_path / "a.gif").texts == {"Comment": "old scan"}
