"""Images from videos and videos from images."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from psfr_core.errors import InputError, OptionError
from psfr_core.faces.face import Face
from psfr_core.images.io import ImageFile, read_image, write_image
from psfr_core.restoration.paste_options import PasteOptions
from psfr_core.restoration.restoration_models import RestorationModels
from psfr_core.restoration.restore_options import RestoreOptions
from psfr_core.video.encoding import EncodingOptions
from psfr_core.video.frame_images import frame_to_image, image_to_frame, is_numbered, numbered_path
from psfr_core.video.restore_image_files import restore_image_files, restore_images_to_video
from psfr_core.video.restore_video_to_images import restore_video_to_images
from psfr_core.video.video_options import VideoOptions, VideoStep

pytest.importorskip("av")

LOSSLESS = VideoOptions(encoding=EncodingOptions(lossless=True))
WHOLE_CROP = RestoreOptions(guard=False, paste=PasteOptions(regions=None))


@pytest.fixture
def found(models: RestorationModels, two_faces: list[Face]) -> RestorationModels:
    models.detector.faces[:] = two_faces  # type: ignore[attr-defined]
    return models


def write_images(folder: Path, channels: int = 3, depth: int = 8, count: int = 4) -> list[Path]:
    folder.mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(0)
    paths: list[Path] = []
    for index in range(count):
        paths.append(folder / f"{index:03}.png")
        blocks = torch.rand(channels, 15, 20, generator=generator).repeat_interleave(8, 1).repeat_interleave(8, 2)
        write_image(paths[-1], ImageFile(blocks, depth))
    return paths


@pytest.mark.parametrize(("channels", "depth"), [(1, 8), (2, 8), (3, 8), (3, 16), (4, 8), (4, 16)])
def test_images_keep_their_levels_as_frames(channels: int, depth: int) -> None:
    levels = torch.randint(0, 2**depth, (channels, 11, 7), generator=torch.Generator().manual_seed(0))
    image = ImageFile(levels.float() / (2**depth - 1), depth)
    again = frame_to_image(image_to_frame(image))
    expected = {1: [0, 0, 0], 2: [0, 0, 0, 1], 3: [0, 1, 2], 4: [0, 1, 2, 3]}[channels]
    assert again.bit_depth == depth
    assert torch.equal((again.pixels * (2**depth - 1)).round().long(), levels[expected])


@pytest.mark.parametrize(("channels", "depth"), [(3, 8), (3, 16), (4, 8)])
def test_a_lossless_video_has_the_colors_of_restored_images(
    tmp_path: Path, found: RestorationModels, channels: int, depth: int
) -> None:
    paths = write_images(tmp_path / "in", channels, depth)
    (tmp_path / "out").mkdir()
    restore_image_files({path: tmp_path / "out" / path.name for path in paths}, found, WHOLE_CROP)
    result = restore_images_to_video(paths, tmp_path / "b.mkv", found, WHOLE_CROP, LOSSLESS)
    assert (result.frame_count, result.face_count) == (4, 2)
    no_faces = RestorationModels(found.generator, found.parse_net, type(found.detector)([]))  # type: ignore[call-arg]
    restore_video_to_images(tmp_path / "b.mkv", tmp_path / "again" / "%03d.png", no_faces)
    again = sorted((tmp_path / "again").iterdir())
    assert [path.name for path in again] == ["001.png", "002.png", "003.png", "004.png"]
    for path, old in zip(again, paths, strict=True):
        image, expected = read_image(path), read_image(tmp_path / "out" / old.name)
        assert image.bit_depth == depth
        assert torch.equal(image.pixels, expected.pixels)
        assert not torch.equal(image.pixels, read_image(old).pixels)


def test_a_video_from_images_has_their_colors_and_rate(
    clips: ModuleType, tmp_path: Path, found: RestorationModels
) -> None:
    found.detector.faces.clear()  # type: ignore[attr-defined]
    paths = write_images(tmp_path / "in")
    target = tmp_path / "b.mp4"
    restore_images_to_video(paths, target, found, rate=Fraction(30000, 1001))
    frames = clips.decoded(target)
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(1001 * index, 30000) for index in range(4)]
    assert {frame.format.name for frame in frames} == {"yuv420p"}
    with clips.av.open(str(target)) as container:
        context = container.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace, context.color_range) == (1, 13, 1, 1)
        assert container.streams.video[0].average_rate == Fraction(30000, 1001)
    for frame, path in zip(frames, paths, strict=True):
        difference = frame_to_image(frame).pixels - read_image(path).pixels
        assert float(difference[:, 3::8, 3::8].abs().mean()) < 0.015  # middles of the blocks


def test_images_of_a_video_are_bit_identical_outside_of_faces(
    clips: ModuleType, tmp_path: Path, found: RestorationModels
) -> None:
    frames = [clips.random_frame("yuv420p10le", seed) for seed in range(3)]
    source = clips.write_clip(tmp_path / "a.mkv", frames)
    restore_video_to_images(source, tmp_path / "out" / "%d.png", found, WHOLE_CROP)
    for number, frame in enumerate(clips.decoded(source), start=1):
        before, after = frame_to_image(frame), read_image(tmp_path / "out" / f"{number}.png")
        assert after.bit_depth == 16
        changed = (after.pixels - before.pixels).abs().amax(0) > 1e-5
        assert not bool(changed[84:].any())
        assert not bool(changed[:, 148:].any())
        assert float(changed[30:50, 30:50].float().mean()) > 0.5


def test_images_of_a_rotated_video_are_upright(clips: ModuleType, tmp_path: Path, models: RestorationModels) -> None:
    source = clips.write_clip(tmp_path / "a.mp4", [clips.random_frame("yuv444p", 0)], codec="libx264", rotation=90)
    restore_video_to_images(source, tmp_path / "%d.png", models)
    frame = clips.decoded(source)[0]
    image = read_image(tmp_path / "1.png").pixels
    assert image.shape == (3, 160, 120)
    expected = frame_to_image(frame, round(frame.rotation / 90) % 4).pixels
    assert float((image - expected).abs().max()) < 1 / 255


@pytest.mark.parametrize("name", ["%s.png", "50%.png", "%d_%d.png", "frame.png", "%6.2d.png"])
def test_names_without_one_place_for_a_number_are_refused(name: str) -> None:
    with pytest.raises(OptionError, match=r"such as %06d\.png"):
        numbered_path(Path(name), 1)
    assert is_numbered(Path(name)) == (name == "%d_%d.png")
    assert numbered_path(Path("a/%04d.png"), 7) == Path("a/0007.png")


def test_an_interrupted_video_from_images_leaves_nothing(tmp_path: Path, found: RestorationModels) -> None:
    paths = write_images(tmp_path / "in")

    def stop(step: VideoStep, done: int, _: int) -> None:
        if (step, done) == (VideoStep.RESTORE, 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_images_to_video(paths, tmp_path / "b.mp4", found, progress=stop)
    with pytest.raises(OptionError, match="There is no encoder"):
        restore_images_to_video(
            paths, tmp_path / "b.mp4", found, video=VideoOptions(encoding=EncodingOptions(codec="nothing"))
        )
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_transparent_colors_are_kept() -> None:
    pixels = torch.rand(4, 8, 8, generator=torch.Generator().manual_seed(0))
    pixels[3] = 0
    again = frame_to_image(image_to_frame(ImageFile(pixels))).pixels
    assert np.abs((again - pixels).numpy()).max() <= 0.5 / 255 + 1e-6


def test_a_video_of_no_images_is_refused(tmp_path: Path, models: RestorationModels) -> None:
    with pytest.raises(InputError, match="at least one image file"):
        restore_images_to_video([], tmp_path / "a.mp4", models)
    with pytest.raises(InputError, match="at least one image file"):
        restore_image_files({}, models)


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((-1, 0, 0, 1), lambda image: image.flip(-1)),
        ((1, 0, 0, -1), lambda image: image.flip(-2)),
        ((0, 1, 1, 0), lambda image: image.transpose(-2, -1)),
        ((0, -1, -1, 0), lambda image: image.rot90(2, (-2, -1)).transpose(-2, -1)),
        ((0, 1, -1, 0), lambda image: image.rot90(-1, (-2, -1))),
    ],
    ids=["mirrored", "upside down and mirrored", "transposed", "transposed at the other diagonal", "rotated"],
)
def test_frames_become_images_as_players_show_them(
    clips: ModuleType,
    tmp_path: Path,
    models: RestorationModels,
    matrix: tuple[int, ...],
    shown: Callable[[Tensor], Tensor],
) -> None:
    a, b, c, d = (65536 * value for value in matrix)
    frames = [clips.random_frame("yuv444p", 0)]
    plain = clips.write_clip(tmp_path / "a.mp4", frames, codec="libx264")
    turned = clips.write_clip(
        tmp_path / "b.mp4", frames, codec="libx264", display_matrix=(a, b, 0, c, d, 0, 0, 0, 1 << 30)
    )
    restore_video_to_images(plain, tmp_path / "a_%d.png", models)
    restore_video_to_images(turned, tmp_path / "b_%d.png", models)
    upright = read_image(tmp_path / "a_1.png").pixels
    assert torch.equal(read_image(tmp_path / "b_1.png").pixels, shown(upright))
