"""Test reading and writing of image files: pixels, orientation, metadata and atomic writes."""

from __future__ import annotations

import io
import logging
import re
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms

from psfr_core.errors import ImageFileError, InputError
from psfr_core.images.io import ImageFile, read_image, write_image
from psfr_core.images.png16 import encode_png16

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def random_pixels(channels: int, bit_depth: int = 8, height: int = 5, width: int = 7, seed: int = 0) -> torch.Tensor:
    maximum = 2**bit_depth - 1
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, maximum + 1, (channels, height, width), generator=generator).float() / maximum


@pytest.mark.parametrize("bit_depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_is_bit_identical(tmp_path: Path, channels: int, bit_depth: int) -> None:
    pixels = random_pixels(channels, bit_depth)
    write_image(tmp_path / "a.png", ImageFile(pixels, bit_depth))
    read = read_image(tmp_path / "a.png")
    assert read.bit_depth == bit_depth
    assert read.pixels.dtype == torch.float32
    assert torch.equal(read.pixels, pixels)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(("channels", "channels_read"), [(1, 3), (2, 4), (3, 3), (4, 4)])
def test_webp_is_lossless_even_in_transparent_pixels(tmp_path: Path, channels: int, channels_read: int) -> None:
    pixels = random_pixels(channels)
    pixels[-1, 0] = 0  # fully transparent if there is alpha
    write_image(tmp_path / "a.webp", ImageFile(pixels))
    colors = pixels[:1].expand(3, -1, -1) if channels <= 2 else pixels[:3]
    expected = torch.cat([colors, pixels[-1:]]) if channels in (2, 4) else colors
    read = read_image(tmp_path / "a.webp").pixels
    assert read.shape[0] == channels_read
    assert torch.equal(read, expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_close_to_the_original(tmp_path: Path, channels: int) -> None:
    pixels = torch.linspace(0, 1, 64).expand(channels, 48, 64).contiguous()
    for suffix in ("jpg", "jpeg", "JPG"):
        write_image(tmp_path / f"a.{suffix}", ImageFile(pixels, 16))
        read = read_image(tmp_path / f"a.{suffix}")
        assert (read.pixels.shape[0], read.bit_depth) == (channels, 8)
        assert (read.pixels - pixels).abs().mean() < 0.5 / 255


def test_jpeg_quality_changes_the_file_size(tmp_path: Path) -> None:
    image = ImageFile(random_pixels(3, height=64, width=64))
    write_image(tmp_path / "good.jpg", image, jpeg_quality=95)
    write_image(tmp_path / "bad.jpg", image, jpeg_quality=20)
    assert (tmp_path / "bad.jpg").stat().st_size < 0.6 * (tmp_path / "good.jpg").stat().st_size


def test_jpeg_rejects_only_transparent_pixels(tmp_path: Path) -> None:
    opaque = torch.cat([random_pixels(3), torch.ones(1, 5, 7)])
    write_image(tmp_path / "a.jpg", ImageFile(opaque))
    assert read_image(tmp_path / "a.jpg").pixels.shape[0] == 3
    with pytest.raises(ImageFileError, match=r"b\.jpg: JPEG does not support transparent pixels. Use \.png or \.webp"):
        write_image(tmp_path / "b.jpg", ImageFile(random_pixels(4)))
    assert not (tmp_path / "b.jpg").exists()


@pytest.mark.parametrize(("name", "is_lost"), [("a.png", False), ("a.webp", True), ("a.jpg", True)])
def test_reduced_bit_depth_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, is_lost: bool
) -> None:
    with caplog.at_level(logging.WARNING):
        write_image(tmp_path / name, ImageFile(random_pixels(3)))
        assert not caplog.records
        write_image(tmp_path / name, ImageFile(random_pixels(3, 16), 16))
    assert (f"{name} keeps only 8 of 16 bits per channel" in caplog.text) is is_lost


@pytest.mark.parametrize("bit_depth", [8, 16])
def test_values_are_rounded_and_clamped(tmp_path: Path, bit_depth: int) -> None:
    maximum = 2**bit_depth - 1
    pixels = torch.tensor([-0.5, 0.4 / maximum, 0.6 / maximum, (maximum - 0.6) / maximum, 1.5]).view(1, 1, 5)
    write_image(tmp_path / "a.png", ImageFile(pixels, bit_depth))
    levels = (read_image(tmp_path / "a.png").pixels * maximum).round().flatten().tolist()
    assert levels == [0, 0, 1, maximum - 1, maximum]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
@pytest.mark.parametrize("bit_depth", [8, 16])
def test_color_profile_is_kept(tmp_path: Path, name: str, bit_depth: int) -> None:
    write_image(tmp_path / name, ImageFile(random_pixels(3, bit_depth), bit_depth, SRGB))
    assert read_image(tmp_path / name).icc_profile == SRGB


@pytest.mark.parametrize("bit_depth", [8, 16])
def test_profile_of_another_color_space_is_dropped(tmp_path: Path, bit_depth: int) -> None:
    write_image(tmp_path / "a.png", ImageFile(random_pixels(1, bit_depth), bit_depth, SRGB))
    assert read_image(tmp_path / "a.png").icc_profile is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png8", "png16", "jpeg", "tiff"])
def test_exif_orientation_is_applied_like_in_pillow(tmp_path: Path, orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    levels = (random_pixels(1, height=2, width=3, seed=1)[0] * 255).byte().numpy()
    source = Image.fromarray(levels.repeat(16, 0).repeat(16, 1))
    path = tmp_path / f"a.{kind.rstrip('0168')}"
    if kind == "jpeg":
        source.save(path, exif=exif, quality=100)
    else:
        source.save(path, exif=exif)
    methods = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
    rotated = source.transpose(Image.Transpose(methods[orientation])) if orientation in methods else source
    if kind == "png16":
        path.write_bytes(_with_exif(encode_png16(np.asarray(source)[..., None].astype(np.uint16) * 257), exif))
    read = read_image(path)
    assert read.bit_depth == (16 if kind == "png16" else 8)
    np.testing.assert_allclose(read.pixels[0].numpy(), np.asarray(rotated) / 255, atol=2 / 255)


@pytest.mark.parametrize(("name", "bit_depth"), [("b.png", 8), ("b.png", 16), ("b.webp", 8), ("b.jpg", 8)])
def test_exif_data_is_kept_without_orientation_and_thumbnail(tmp_path: Path, name: str, bit_depth: int) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x0110] = 6, "a camera"
    exif.get_ifd(0x8769)[0x9003] = "1999:12:31 23:59:59"
    exif.get_ifd(0x8825)[1] = "N"
    NOISE.save(tmp_path / "a.jpg", exif=exif)
    image = read_image(tmp_path / "a.jpg")
    write_image(tmp_path / name, replace(image, bit_depth=bit_depth))
    with Image.open(tmp_path / name) as written:
        kept = written.getexif()
    assert dict(kept) | {0x8769: 0, 0x8825: 0} == {0x0110: "a camera", 0x8769: 0, 0x8825: 0}
    assert kept.get_ifd(0x8769) == {0x9003: "1999:12:31 23:59:59"}
    assert kept.get_ifd(0x8825) == {1: "N"}
    assert read_image(tmp_path / name).pixels.shape == image.pixels.shape


def test_exif_data_too_long_for_jpeg_is_dropped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exif = Image.Exif()
    exif[0x9286] = b"x" * 70_000
    write_image(tmp_path / "a.jpg", ImageFile(random_pixels(3), exif=exif.tobytes()))
    assert "loses its EXIF data" in caplog.text
    assert read_image(tmp_path / "a.jpg").exif is None


def _with_exif(png: bytes, exif: Image.Exif) -> bytes:
    content = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(content)) + b"eXIf" + content + struct.pack(">I", zlib.crc32(b"eXIf" + content))
    return png[:33] + chunk + png[33:]


COLORS = np.array([[[250, 20, 30], [10, 200, 60]], [[0, 0, 0], [255, 255, 255]]], np.uint8)


@pytest.mark.parametrize(
    ("source", "channels"),
    [
        (Image.fromarray(COLORS).convert("P", palette=Image.Palette.ADAPTIVE), 3),
        (Image.fromarray(COLORS).convert("L"), 1),
        (Image.fromarray(COLORS).convert("1"), 1),
        (Image.fromarray(COLORS).convert("LA"), 2),
        (Image.fromarray(COLORS).convert("RGBA"), 4),
    ],
    ids=["palette", "gray", "bits", "gray alpha", "rgba"],
)
def test_pixel_modes_are_converted(tmp_path: Path, source: Image.Image, channels: int) -> None:
    source.save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png").pixels
    assert read.shape == (channels, 2, 2)
    expected = np.asarray(source.convert({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels])).reshape(2, 2, channels)
    np.testing.assert_array_equal((read * 255).round().permute(1, 2, 0).numpy(), expected)


def test_transparent_colors_become_alpha(tmp_path: Path) -> None:
    palette = Image.fromarray(COLORS).convert("P", palette=Image.Palette.ADAPTIVE)
    palette.save(tmp_path / "palette.png", transparency=palette.getpixel((0, 1)))
    Image.fromarray(COLORS).save(tmp_path / "color.png", transparency=(0, 0, 0))
    for name in ("palette.png", "color.png"):
        assert read_image(tmp_path / name).pixels[3].tolist() == [[1, 1], [0, 1]]


def test_cmyk_with_a_damaged_profile_becomes_rgb_without_a_profile(tmp_path: Path) -> None:
    cmyk_profile = SRGB[:16] + b"CMYK" + SRGB[20:]
    source = Image.fromarray(COLORS.repeat(8, 0).repeat(8, 1)).convert("CMYK")
    source.save(tmp_path / "a.jpg", quality=100, subsampling=0, icc_profile=cmyk_profile)
    read = read_image(tmp_path / "a.jpg")
    assert read.icc_profile is None
    np.testing.assert_allclose(read.pixels[:, 4::8, 4::8].permute(1, 2, 0).numpy(), COLORS / 255, atol=0.03)


def test_gray_tiff_keeps_16_bits(tmp_path: Path) -> None:
    levels = np.array([[0, 1, 300], [40000, 65534, 65535]], np.uint16)
    Image.fromarray(levels).save(tmp_path / "a.tif")
    read = read_image(tmp_path / "a.tif")
    assert read.bit_depth == 16
    np.testing.assert_array_equal((read.pixels[0] * 65535).round().numpy(), levels)


def _tiff16(levels: NDArray[np.uint16]) -> bytes:
    """Encode RGB pixels (H, W, 3) as an uncompressed big-endian TIFF file with 16 bits, which Pillow cannot write."""
    height, width, _ = levels.shape
    after = 8 + 2 + 9 * 12 + 4
    short, long = 3, 4
    tags = [(256, short, 1, width << 16), (257, short, 1, height << 16), (258, short, 3, after)]
    tags += [(259, short, 1, 1 << 16), (262, short, 1, 2 << 16), (273, long, 1, after + 6), (277, short, 1, 3 << 16)]
    tags += [(278, short, 1, height << 16), (279, long, 1, levels.nbytes)]
    head = struct.pack(">2sHIH", b"MM", 42, 8, 9) + b"".join(struct.pack(">HHII", *tag) for tag in tags)
    return head + struct.pack(">I3H", 0, 16, 16, 16) + levels.astype(">u2").tobytes()


def _ppm16(levels: NDArray[np.uint16]) -> bytes:
    height, width, _ = levels.shape
    return b"P6\n%d %d\n65535\n" % (width, height) + levels.astype(">u2").tobytes()


@pytest.mark.parametrize(("encode", "kind"), [(_tiff16, "TIFF"), (_ppm16, "PPM")])
def test_bits_lost_on_reading_are_logged(
    tmp_path: Path, encode: Callable[[NDArray[np.uint16]], bytes], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.tif").write_bytes(encode(COLORS.astype(np.uint16) * 257))
    read = read_image(tmp_path / "a.tif")
    assert read.bit_depth == 8
    np.testing.assert_array_equal((read.pixels * 255).round().permute(1, 2, 0).numpy(), COLORS)
    assert re.search(rf"a\.tif \({kind}\) has 16 bits per channel, of which only 8 are read; save it", caplog.text)


@pytest.mark.parametrize(
    ("codec", "container", "pixel_format", "kind", "bits"),
    [("libsvtav1", "avif", "yuv420p10le", "AVIF", 10), ("jpeg2000", "image2", "rgb48le", "JPEG2000", 16)],
)
def test_lost_bits_of_compressed_colors_are_logged(
    tmp_path: Path,
    codec: str,
    container: str,
    pixel_format: str,
    kind: str,
    bits: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "a.jp2"
    with av.open(path, "w", format=container) as file:
        stream = cast("av.VideoStream", file.add_stream(codec, rate=1))
        stream.width = stream.height = 64
        stream.pix_fmt = pixel_format
        gray = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 0x8000, np.uint16), format="rgb48le")
        for frame in (gray.reformat(format=pixel_format), None):
            file.mux(stream.encode(frame))
    read = read_image(path)
    assert read.bit_depth == 8
    assert float((read.pixels - 0.5).abs().max()) < 0.02
    assert f"a.jp2 ({kind}) has {bits} bits per channel, of which only 8 are read" in caplog.text


@pytest.mark.parametrize("suffix", ["png", "tif", "ppm", "jpg", "jp2", "avif"])
def test_files_with_8_bits_are_read_without_a_warning(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    NOISE.save(tmp_path / f"a.{suffix}")
    assert read_image(tmp_path / f"a.{suffix}").bit_depth == 8
    assert caplog.text == ""


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_damaged_exif_data_does_not_prevent_reading(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / f"a.{suffix}"
    NOISE.save(path, exif=b"Exif\0\0garbage", lossless=True)
    np.testing.assert_array_equal((read_image(path).pixels * 255).round().permute(1, 2, 0).numpy(), np.asarray(NOISE))
    assert f"a.{suffix} has damaged EXIF data" in caplog.text


def test_only_the_first_frame_is_read_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frames = [Image.new("L", (4, 4), level) for level in (0, 255)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with caplog.at_level(logging.WARNING):
        assert read_image(tmp_path / "a.gif").pixels.max() == 0
    assert "only the first is read" in caplog.text


def _bytes_of(source: Image.Image, suffix: str) -> bytes:
    buffer = io.BytesIO()
    source.save(buffer, suffix)
    return buffer.getvalue()


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", r"bad\.png is empty \(0 bytes\)"),
        (b"hello, this is text", r"bad\.png has none of the readable formats \(PNG, JPEG, .*Export it as PNG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", r"bad\.png has none of the readable formats"),
        (_bytes_of(NOISE, "PNG")[:3000], r"bad\.png cannot be read because it is damaged or truncated"),
        (_bytes_of(NOISE, "JPEG")[:1500], r"bad\.png cannot be read because it is damaged or truncated"),
        (_bytes_of(NOISE, "WEBP")[:1500], r"bad\.png cannot be read because it is damaged or truncated"),
        (_bytes_of(Image.new("F", (4, 4)), "TIFF"), r"bad\.png \(TIFF\) has pixels of mode F.*Save it as PNG"),
        (
            _bytes_of(Image.new("I", (4, 4)), "TIFF"),
            r"bad\.png \(TIFF\) has pixels of mode I, whose white level is unknown",
        ),
        (b"P5\n2 1\n65535\n\0\1\2\3", r"bad\.png \(PPM\) has pixels of mode I, whose white level is unknown"),
    ],
    ids=["empty", "text", "heic", "truncated png", "truncated jpeg", "truncated webp", "float", "integer", "pgm"],
)
def test_invalid_files_raise_an_error_with_their_name(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(ImageFileError, match=words):
        read_image(tmp_path / "bad.png")


def test_missing_files_and_folders_raise(tmp_path: Path) -> None:
    with pytest.raises(ImageFileError, match=r"none\.png does not exist"):
        read_image(tmp_path / "none.png")
    with pytest.raises(ImageFileError, match="cannot be opened"):
        read_image(tmp_path)


def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(b"old")

    def full_disk(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(ImageFileError, match=r"a\.png cannot be written.*No space left"):
        write_image(tmp_path / "a.png", ImageFile(random_pixels(3)))
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.png", b"old")]


def test_invalid_targets_raise(tmp_path: Path) -> None:
    image = ImageFile(random_pixels(3))
    with pytest.raises(ImageFileError, match=r"\.bmp cannot be written. Use one of \.png, \.webp, \.jpg"):
        write_image(tmp_path / "a.bmp", image)
    with pytest.raises(ImageFileError, match="a file without a suffix cannot be written"):
        write_image(tmp_path / "a", image)
    with pytest.raises(ImageFileError, match=r"cannot be written: No such file or directory\.$"):
        write_image(tmp_path / "none" / "a.png", image)
    with pytest.raises(InputError, match="NaN or infinite"):
        write_image(tmp_path / "a.png", ImageFile(torch.full((3, 2, 2), float("nan"))))


@pytest.mark.parametrize(
    ("pixels", "bit_depth", "words"),
    [
        (torch.zeros(2, 2), 8, r"shape \(C, H, W\)"),
        (torch.zeros(5, 2, 2), 8, "pixels must have 1 to 4 channels .*, got 5"),
        (torch.zeros(3, 2, 2, dtype=torch.uint8), 8, "floating point"),
        (torch.zeros(3, 2, 2), 12, "bit_depth must be 8 or 16, got 12"),
    ],
)
def test_image_file_rejects_invalid_values(pixels: torch.Tensor, bit_depth: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        ImageFile(pixels, bit_depth)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "b.png"])
def test_images_taller_than_a_block_of_rows_are_bit_identical(tmp_path: Path, name: str) -> None:
    bit_depth = 16 if name == "b.png" else 8
    for height in (255, 256, 257, 600):
        pixels = random_pixels(3, bit_depth, height, 3, seed=height)
        write_image(tmp_path / name, ImageFile(pixels, bit_depth))
        assert torch.equal(read_image(tmp_path / name).pixels, pixels)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_writing_needs_little_memory_in_addition_to_the_image(tmp_path: Path, name: str) -> None:
    image = ImageFile(torch.full((3, 2000, 1000), 0.5))
    tracemalloc.start()
    try:
        write_image(tmp_path / name, image)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.2 * image.pixels.nbytes


@pytest.mark.parametrize(("bits", "white_is_zero"), [(16, True), (16, False), (12, False)])
def test_gray_tiff_files_have_the_brightness_that_their_tags_state(
    tmp_path: Path, bits: int, white_is_zero: bool
) -> None:
    levels = [0, (2**bits - 1) // 4 * 2, 2**bits - 1, 0]
    if bits == 16:
        data = struct.pack("<4H", *levels)
    else:
        data = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in (levels[:2], levels[2:]))
    short, long = 3, 4
    fields = [
        (256, short, 4),
        (257, short, 1),
        (258, short, bits),
        (259, short, 1),
        (262, short, int(not white_is_zero)),
    ]
    start = 8 + 2 + 12 * 8 + 4
    fields += [(273, long, start), (278, short, 1), (279, long, len(data))]
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in fields)
    header = b"II*\0" + struct.pack("<IH", 8, len(fields))
    (tmp_path / "a.tif").write_bytes(header + directory + bytes(4) + data)
    image = read_image(tmp_path / "a.tif")
    expected = torch.tensor(levels) / (2**bits - 1)
    assert image.bit_depth == 16
    assert torch.allclose(image.pixels[0, 0], 1 - expected if white_is_zero else expected, atol=1e-4)


def test_large_profiles_and_texts_of_png_files_are_read(tmp_path: Path) -> None:
    profile = SRGB + np.random.default_rng(0).bytes(1_200_000)
    image = ImageFile(random_pixels(3), icc_profile=profile, texts={"prompt": "a" * 2_000_000})
    write_image(tmp_path / "a.png", image)
    found = read_image(tmp_path / "a.png")
    assert (found.icc_profile, found.texts) == (profile, image.texts)


def test_a_lost_profile_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.jpg", icc_profile=SRGB)
    gray = read_image(tmp_path / "a.jpg")
    assert gray.icc_profile is None
    assert "a.jpg: its color profile is for RGB, but its pixels are GRAY; the profile is lost" in caplog.text
    write_image(tmp_path / "b.webp", replace(gray, icc_profile=SRGB.replace(b"RGB ", b"GRAY", 1)))
    assert "b.webp: WebP has no gray color profiles, so the profile is lost" in caplog.text


def test_the_resolution_is_rotated_with_the_pixels(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[282], exif[283], exif[296] = 6, 600.0, 300.0, 2
    Image.new("RGB", (8, 4)).save(tmp_path / "a.jpg", dpi=(600, 300), exif=exif)
    upright = read_image(tmp_path / "a.jpg")
    assert upright.dpi == (300, 600)
    for name in ("b.jpg", "b.png", "b.webp"):
        write_image(tmp_path / name, upright)
        assert read_image(tmp_path / name).dpi == pytest.approx((300, 600), rel=1e-3)
        stored = Image.open(tmp_path / name).getexif()
        assert (stored[282], stored[283]) == (300, 600)
