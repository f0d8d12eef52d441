"""Only what a mask covers changes in a decoded frame, to the bit."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from psfr_core.errors import VideoFileError
from psfr_core.images.box import PixelBox, Size
from psfr_core.video.frame_planes import FramePlanes
from psfr_core.video.pixel_formats import plane_arrays, to_planar, twins_of

av = pytest.importorskip("av")

YUV = ["yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv420p10le", "yuv422p12le", "yuv444p16le", "yuva420p"]
FORMATS = [*YUV, "gray", "gray10le", "gbrp", "gbrp10le", "gbrap"]
BOX = PixelBox(32, 16, 96, 80)


@pytest.mark.parametrize("size", [(160, 120), (131, 87)], ids=["even", "odd"])
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_colors_written_are_read_and_nothing_else_changes(
    clips: ModuleType, pixel_format: str, size: tuple[int, int]
) -> None:
    frame = clips.random_frame(pixel_format, 0, size)
    before = clips.planes(frame)
    found = FramePlanes.of(frame)
    assert found.size == Size(*size)
    colors = found.read(BOX)
    painted = colors.clone()
    target = torch.tensor([0.4, 0.6, 0.5])[: 1 if len(colors) < 3 else 3, None, None]
    painted[: len(target), 8:40, 8:40] = target
    mask = torch.zeros(1, 64, 64)
    mask[:, 8:40, 8:40] = 1
    found.write(BOX, colors, painted, mask)
    read = FramePlanes.of(frame).read(BOX)
    steps = 2 ** (found.bits - 8)
    assert (read[: len(target), 12:36, 12:36] - target).abs().max() < 1.2 / (219 * steps)
    for old, new, component in zip(before, clips.planes(frame), frame.format.components, strict=True):
        down, across = (-(-whole // part) for whole, part in zip((size[1], size[0]), old.shape, strict=True))
        changed = old != new
        assert changed.any() or component.is_alpha
        changed[(16 + 8) // down : (16 + 40) // down, (32 + 8) // across : (32 + 40) // across] = False
        assert not changed.any()


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_a_mask_of_zero_keeps_every_bit(clips: ModuleType, pixel_format: str) -> None:
    frame = clips.random_frame(pixel_format, 1)
    before = clips.planes(frame)
    found = FramePlanes.of(frame)
    colors = found.read(BOX)
    found.write(BOX, colors, 1 - colors, torch.zeros(1, 64, 64))
    assert all(np.array_equal(old, new) for old, new in zip(before, clips.planes(frame), strict=True))


@pytest.mark.parametrize("pixel_format", YUV)
def test_unchanged_colors_come_back_under_a_faint_mask(clips: ModuleType, pixel_format: str) -> None:
    frame = clips.random_frame(pixel_format, 2)
    before = clips.planes(frame)
    found = FramePlanes.of(frame)
    colors = found.read(BOX)
    found.write(BOX, colors, colors, torch.full((1, 64, 64), 1e-4))
    assert all(np.array_equal(old, new) for old, new in zip(before, clips.planes(frame), strict=True))


@pytest.mark.parametrize(
    ("matrix", "height", "rgb"),
    # Red (255, 0, 0) in limited range, by the standards' own tables.
    [
        (1, 96, (63, 102, 240)),
        (6, 96, (81, 90, 240)),
        (9, 96, (74, 97, 240)),
        (2, 96, (81, 90, 240)),
        (2, 720, (63, 102, 240)),
    ],
)
def test_the_matrix_of_the_frame_is_used(matrix: int, height: int, rgb: tuple[int, int, int]) -> None:
    frame = av.VideoFrame(64, height, "yuv444p")
    frame.colorspace, frame.color_range = matrix, 1
    for plane, level in zip(plane_arrays(frame), rgb, strict=True):
        plane[:] = level
    red = FramePlanes.of(frame).read(PixelBox(0, 0, 16, 16)).mean((1, 2))
    assert red.tolist() == pytest.approx([1, 0, 0], abs=0.01)


def test_full_range_is_used(clips: ModuleType) -> None:
    frame = av.VideoFrame(32, 32, "yuvj420p")
    for plane, level in zip(frame.planes, (255, 128, 128), strict=True):
        clips.plane_of(plane, 8)[:] = level
    white = FramePlanes.of(to_planar(frame)).read(PixelBox(0, 0, 32, 32))
    assert white.min() > 0.995
    assert to_planar(frame).format.name == "yuv420p"
    limited = av.VideoFrame(32, 32, "yuv420p")
    for plane, level in zip(limited.planes, (235, 128, 128), strict=True):
        clips.plane_of(plane, 8)[:] = level
    assert FramePlanes.of(limited).read(PixelBox(0, 0, 32, 32)).min() > 0.995


def _samples(plane: Any, dtype: Any) -> Any:
    """Return the samples of a plane as a writable array; PyAV's types do not declare the buffer protocol."""
    return np.frombuffer(plane, dtype)


@pytest.mark.parametrize(
    "packed", ["nv12", "nv16", "yuyv422", "uyvy422", "rgb24", "bgr24", "rgba", "bgra", "rgb48le", "p010le"]
)
def test_packed_formats_become_planar_without_a_loss(packed: str) -> None:
    frame = av.VideoFrame(32, 16, packed)
    random = np.random.default_rng(0)
    for plane in frame.planes:
        samples = _samples(plane, np.uint16 if packed == "p010le" else np.uint8)
        samples[:] = (
            random.integers(0, 1024, samples.size) * 64 if packed == "p010le" else random.integers(0, 256, samples.size)
        )
    planar = to_planar(frame)
    back = planar.reformat(format=packed)
    for old, new in zip(frame.planes, back.planes, strict=True):
        before, after = (_samples(plane, np.uint8).reshape(-1, plane.line_size) for plane in (old, new))
        used = min(old.line_size, 32 * frame.format.padded_bits_per_pixel // 8) if len(frame.planes) == 1 else None
        assert np.array_equal(before[:16, :used], after[:16, :used])


def test_planar_frames_stay_the_same_objects(clips: ModuleType) -> None:
    frame = clips.random_frame("yuv422p10le", 0)
    assert to_planar(frame) is frame
    assert twins_of("gbrp")[:2] == ("gbrp", "bgr0")


def test_boxes_fit_the_chroma_and_the_frame(clips: ModuleType) -> None:
    found = FramePlanes.of(clips.random_frame("yuv420p", 0, (131, 87)))
    assert found.fit(PixelBox(3, 5, 130, 80)) == PixelBox(2, 4, 130, 80)
    assert found.fit(PixelBox(3, 5, 131, 87)) == PixelBox(2, 4, 131, 87)


def test_a_format_without_a_planar_twin_is_refused() -> None:
    with pytest.raises(VideoFileError, match="bayer_rggb8 is not supported"):
        to_planar(av.VideoFrame(32, 16, "bayer_rggb8"))
