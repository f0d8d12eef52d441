"""Videos from file to file."""

from __future__ import annotations

import logging
import re
import signal
import threading
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from psfr_core.errors import MissingPackageError, NoFaceError, OptionError, VideoFileError
from psfr_core.faces.face import Face
from psfr_core.faces.selection import FaceSelection, SelectionOptions
from psfr_core.images.box import Size
from psfr_core.restoration.enhance import enhance_faces
from psfr_core.restoration.paste_options import PasteOptions
from psfr_core.restoration.restoration_models import RestorationModels
from psfr_core.restoration.restore_options import NoFace, RestoreOptions
from psfr_core.video.encoding import EncodingOptions, choose_encoding
from psfr_core.video.restore_video import restore_video
from psfr_core.video.video_options import VideoOptions, VideoStep
from psfr_core.video.write_video import VideoWriter

pytest.importorskip("av")

LOSSLESS = VideoOptions(encoding=EncodingOptions(lossless=True))
WHOLE_CROP = RestoreOptions(guard=False, paste=PasteOptions(regions=None))
FACE_AREA = (slice(10, 82), slice(8, 146))  # rows and columns of both faces' crops


@pytest.fixture
def found(models: RestorationModels, two_faces: list[Face]) -> RestorationModels:
    models.detector.faces[:] = two_faces  # type: ignore[attr-defined]
    return models


def outside_faces(plane: Any, frame: Any) -> Any:
    """Return a mask of the samples of ``plane`` outside all faces."""
    down, across = (-(-whole // part) for whole, part in zip((frame.height, frame.width), plane.shape, strict=True))
    outside = np.ones(plane.shape, bool)
    rows, columns = FACE_AREA
    outside[rows.start // down : -(-rows.stop // down), columns.start // across : -(-columns.stop // across)] = False
    return outside


@pytest.mark.parametrize(
    ("pixel_format", "codec", "suffix"),
    [
        ("yuv420p", "ffv1", ".mkv"),
        ("yuv422p10le", "ffv1", ".mkv"),
        ("yuva420p", "ffv1", ".mkv"),
        ("gbrp", "ffv1", ".mkv"),
        ("gray", "ffv1", ".mkv"),
        ("yuv420p", "libx264", ".mp4"),
        ("yuv444p10le", "libx264", ".mp4"),
    ],
)
def test_only_the_faces_change_by_any_bit(
    clips: ModuleType, tmp_path: Path, found: RestorationModels, pixel_format: str, codec: str, suffix: str
) -> None:
    frames = [clips.random_frame(pixel_format, seed) for seed in range(6)]
    encoded = "bgr0" if pixel_format == "gbrp" else None
    stored = [frame.reformat(format=encoded) if encoded else frame for frame in frames]
    source = clips.write_clip(tmp_path / "a.mkv", stored)
    options = VideoOptions(encoding=EncodingOptions(codec=codec, lossless=True))
    result = restore_video(source, tmp_path / f"b{suffix}", found, WHOLE_CROP, options)
    assert (result.frame_count, result.face_count, result.damage) == (6, 2, "")
    after = clips.decoded(tmp_path / f"b{suffix}")
    assert len(after) == 6
    for old, new in zip(frames, after, strict=True):
        planar = new.reformat(format=pixel_format) if encoded else new
        assert planar.format.name == pixel_format
        for component, before, restored in zip(
            old.format.components, clips.planes(old), clips.planes(planar), strict=True
        ):
            outside = outside_faces(before, old)
            assert np.array_equal(before[outside], restored[outside])
            assert component.is_alpha == bool(np.array_equal(before, restored))


def test_sound_timestamps_and_metadata_are_kept(clips: ModuleType, tmp_path: Path, found: RestorationModels) -> None:
    frames = [clips.random_frame("yuv420p", seed) for seed in range(8)]
    times = [0, 3, 4, 10, 17, 18, 40, 41]
    source = clips.write_clip(
        tmp_path / "a.mp4",
        frames,
        codec="libx264",
        timestamps=[1000 * time for time in times],
        time_base=Fraction(1, 24000),
        sound="aac",
        color_primaries=9,
        color_trc=16,
        colorspace=9,
        color_range=1,
        sample_aspect_ratio=Fraction(4, 3),
    )
    target = tmp_path / "b.mp4"
    restore_video(source, target, found)
    before, after = clips.decoded(source), clips.decoded(target)
    assert [frame.pts * frame.time_base for frame in after] == [Fraction(time, 24) for time in times]
    assert [frame.pts * frame.time_base for frame in after] == [frame.pts * frame.time_base for frame in before]
    assert clips.packets(target, "audio") == clips.packets(source, "audio")
    assert len(clips.packets(target, "audio")) > 10
    with clips.av.open(str(target)) as container:
        context = container.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace, context.color_range) == (9, 16, 9, 1)
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


@pytest.mark.parametrize("degrees", [90, -90, 180])
def test_rotated_videos_stay_rotated_and_their_faces_are_found_upright(
    clips: ModuleType, tmp_path: Path, found: RestorationModels, degrees: int
) -> None:
    frames = [clips.random_frame("yuv444p", seed) for seed in range(3)]
    source = clips.write_clip(tmp_path / "a.mp4", frames, codec="libx264", options={"qp": "0"}, rotation=degrees)
    seen: list[tuple[int, ...]] = []
    detect = found.detector.detect

    def note(images: Tensor, *args: Any, **options: Any) -> list[list[Face]]:
        seen.append(tuple(images.shape[-2:]))
        return detect(images, *args, **options)

    found.detector.detect = note  # type: ignore[method-assign]
    if degrees != 180:
        found.detector.faces[:] = found.detector.faces[:1]  # type: ignore[attr-defined]
    restore_video(source, tmp_path / "b.mp4", found, WHOLE_CROP, LOSSLESS)
    assert set(seen) == {(120, 160) if degrees == 180 else (160, 120)}
    before, after = clips.decoded(source)[0], clips.decoded(tmp_path / "b.mp4")[0]
    assert after.rotation == before.rotation != 0
    changed = (clips.planes(before)[0] != clips.planes(after)[0]) | (clips.planes(before)[1] != clips.planes(after)[1])
    upright = np.rot90(changed, round(before.rotation / 90))
    assert upright[30:50, 30:50].mean() > 0.8  # the first face, in upright pixels
    outside = upright.copy()
    outside[FACE_AREA[0], : 73 if degrees != 180 else 146] = False
    assert not outside.any()


def test_repeated_frames_give_the_same_result_and_are_not_restored_again(
    clips: ModuleType, tmp_path: Path, found: RestorationModels
) -> None:
    frames = [clips.random_frame("yuv420p", seed) for seed in (0, 0, 0, 1, 1, 2)]
    source = clips.write_clip(tmp_path / "a.mkv", frames)
    restored_crops = count_crops(found)
    restore_video(source, tmp_path / "b.mkv", found, WHOLE_CROP, LOSSLESS)
    after = [clips.planes(frame) for frame in clips.decoded(tmp_path / "b.mkv")]
    for one, other, are_equal in ((0, 1, True), (1, 2, True), (3, 4, True), (2, 3, False)):
        assert all(np.array_equal(a, b) for a, b in zip(after[one], after[other], strict=True)) == are_equal
    assert sum(restored_crops) == 3 * 2


def count_crops(models: RestorationModels) -> list[int]:
    """Note the number of crops in each call of the generator."""
    counts: list[int] = []
    models.generator.register_forward_pre_hook(lambda _, inputs: counts.append(len(inputs[0])))
    return counts


def test_faces_of_several_frames_are_restored_in_one_batch(
    clips: ModuleType, tmp_path: Path, found: RestorationModels
) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", [clips.random_frame("yuv420p", seed) for seed in range(6)])
    counts = count_crops(found)
    restore_video(source, tmp_path / "b.mkv", found, RestoreOptions(batch_size=4))
    assert counts == [4, 4, 4]


def test_the_selection_is_made_once_for_a_shot(clips: ModuleType, tmp_path: Path, found: RestorationModels) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", [clips.random_frame("yuv420p", seed) for seed in range(4)])
    options = RestoreOptions(selection=SelectionOptions(selection=FaceSelection.LARGEST))
    assert restore_video(source, tmp_path / "b.mkv", found, options).face_count == 1


def test_without_a_face_all_frames_stay_or_an_error_is_raised(
    clips: ModuleType, tmp_path: Path, models: RestorationModels
) -> None:
    frames = [clips.random_frame("yuv420p", seed) for seed in range(3)]
    source = clips.write_clip(tmp_path / "a.mkv", frames)
    assert restore_video(source, tmp_path / "b.mkv", models, video=LOSSLESS).face_count == 0
    for before, after in zip(frames, clips.decoded(tmp_path / "b.mkv"), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(clips.planes(before), clips.planes(after), strict=True))
    with pytest.raises(NoFaceError, match="No face that fits the options"):
        restore_video(source, tmp_path / "c.mkv", models, RestoreOptions(no_face=NoFace.ERROR))
    assert not (tmp_path / "c.mkv").exists()


def test_a_video_of_one_frame_is_restored(clips: ModuleType, tmp_path: Path, found: RestorationModels) -> None:
    source = clips.write_clip(tmp_path / "a.mp4", [clips.random_frame("yuv420p", 0)], codec="libx264")
    assert restore_video(source, tmp_path / "b.mp4", found).face_count == 2
    assert len(clips.decoded(tmp_path / "b.mp4")) == 1


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_fewer_frames_than_the_encoder_delays_keep_their_times(
    clips: ModuleType, tmp_path: Path, models: RestorationModels, count: int, suffix: str
) -> None:
    frames = [clips.random_frame("yuv420p", seed) for seed in range(count)]
    source = clips.write_clip(tmp_path / "a.mkv", frames)
    video = VideoOptions(encoding=EncodingOptions(codec="libx265"))
    restore_video(source, tmp_path / f"b{suffix}", models, video=video)
    assert [float(frame.time) for frame in clips.decoded(tmp_path / f"b{suffix}")] == [0.04 * i for i in range(count)]


def test_odd_sizes_are_kept(
    clips: ModuleType, tmp_path: Path, found: RestorationModels, caplog: pytest.LogCaptureFixture
) -> None:
    source = clips.write_clip(
        tmp_path / "a.mkv", [clips.random_frame("yuv420p", seed, (161, 121)) for seed in range(3)]
    )
    restore_video(source, tmp_path / "b.mp4", found)
    assert (clips.decoded(tmp_path / "b.mp4")[0].width, clips.decoded(tmp_path / "b.mp4")[0].height) == (161, 121)
    assert "stored as yuv444p" in caplog.text
    restore_video(source, tmp_path / "c.mkv", found, WHOLE_CROP, LOSSLESS)
    assert clips.decoded(tmp_path / "c.mkv")[0].format.name == "yuv420p"


@pytest.mark.parametrize("step", [VideoStep.FIND, VideoStep.RESTORE])
def test_an_interruption_leaves_nothing(
    clips: ModuleType, tmp_path: Path, found: RestorationModels, step: VideoStep
) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", [clips.random_frame("yuv420p", seed) for seed in range(4)])
    target = tmp_path / "out" / "b.mp4"
    target.parent.mkdir()

    def stop(now: VideoStep, done: int, total: int) -> None:
        assert 0 <= done <= total == 4
        if now is step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_video(source, target, found, progress=stop)
    assert list(target.parent.iterdir()) == []


def test_frames_are_encoded_in_another_thread(
    clips: ModuleType, tmp_path: Path, found: RestorationModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", [clips.random_frame("yuv420p", seed) for seed in range(4)])
    threads: list[str] = []
    write = VideoWriter.write

    def noted(writer: VideoWriter, frame: Any) -> None:
        threads.append(threading.current_thread().name)
        write(writer, frame)

    monkeypatch.setattr(VideoWriter, "write", noted)
    restore_video(source, tmp_path / "b.mkv", found)
    assert threads == ["psfr write behind_0"] * 4


def test_an_older_result_survives_an_interruption(clips: ModuleType, tmp_path: Path, found: RestorationModels) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", [clips.random_frame("yuv420p", seed) for seed in range(4)])
    target = tmp_path / "b.mp4"
    target.write_bytes(b"older")

    def stop(now: VideoStep, done: int, _: int) -> None:
        if (now, done) == (VideoStep.RESTORE, 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_video(source, target, found, progress=stop)
    assert target.read_bytes() == b"older"


def test_a_full_disk_is_reported_and_nothing_is_left(
    clips: ModuleType, tmp_path: Path, found: RestorationModels
) -> None:
    resource = pytest.importorskip("resource")
    frames = [clips.random_frame("yuv444p16le", seed) for seed in range(4)]
    for frame in frames:
        for plane in frame.planes:
            samples = clips.plane_of(plane, 16)
            samples[:] = np.random.default_rng(0).integers(0, 65536, samples.shape)  # noise does not compress
    source = clips.write_clip(tmp_path / "a.mkv", frames)
    before, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"b\.mkv"):
            restore_video(source, tmp_path / "b.mkv", found, video=LOSSLESS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


@pytest.mark.parametrize("is_frame_lost", [False, True])
def test_damage_in_the_middle_is_named_and_the_rest_restored(
    clips: ModuleType, tmp_path: Path, found: RestorationModels, is_frame_lost: bool
) -> None:
    frames = [clips.random_frame("yuv420p", seed) for seed in range(20)]
    options = {"qp": "0", "bf": "0", "g": "5"}
    source = clips.write_clip(tmp_path / "a.mp4", frames, codec="libx264", options=options)
    data = bytearray(source.read_bytes())
    packet = data.find(clips.packets(source, "video")[10][1])
    first = packet + (0 if is_frame_lost else 48)
    data[first : first + 100] = bytes(range(100))
    source.write_bytes(bytes(data))
    result = restore_video(source, tmp_path / "b.mkv", found, WHOLE_CROP, LOSSLESS)
    assert "damaged part" in result.damage
    assert re.search(r"near 0\.(4|5|6)", result.damage)
    after = {round(frame.time * 25): frame for frame in clips.decoded(tmp_path / "b.mkv")}
    assert result.frame_count == len(after)
    assert set(range(20)) - set(after) <= {10, 11, 12, 13, 14}
    for index in (0, 9, 15, 19):
        old, new = clips.planes(frames[index])[0], clips.planes(after[index])[0]
        outside = outside_faces(old, frames[index])
        assert np.array_equal(old[outside], new[outside])
        assert not np.array_equal(old, new)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_file_that_ends_early_is_restored_up_to_there(
    clips: ModuleType, tmp_path: Path, found: RestorationModels, share: float
) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", [clips.random_frame("yuv420p", seed) for seed in range(20)])
    data = source.read_bytes()
    source.write_bytes(data[: round(share * len(data))])
    result = restore_video(source, tmp_path / "b.mkv", found)
    assert 20 * share - 4 <= result.frame_count <= 20 * share + 1
    assert len(clips.decoded(tmp_path / "b.mkv")) == result.frame_count


def test_files_that_are_no_videos_are_refused_with_words(
    clips: ModuleType, tmp_path: Path, models: RestorationModels
) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    sound = tmp_path / "sound.mp4"
    with clips.av.open(str(sound), "w") as container:
        stream: Any = container.add_stream("aac", rate=48000)
        tone = clips.av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), format="fltp", layout="mono")
        tone.sample_rate = 48000
        container.mux(stream.encode(tone))
        container.mux(stream.encode(None))
    playlist = tmp_path / "list.mp4"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nsecret.mp4\n")
    for path, message in (
        (text, "cannot be opened as a video"),
        (sound, "has no video stream, only audio"),
        (playlist, "cannot be opened as a video"),
        (tmp_path, "is a folder"),
        (tmp_path / "none.mp4", "does not exist"),
    ):
        with pytest.raises(VideoFileError, match=message):
            restore_video(path, tmp_path / "out.mp4", models)
    assert not (tmp_path / "out.mp4").exists()


def test_frames_that_change_their_size_are_refused(
    clips: ModuleType, tmp_path: Path, models: RestorationModels
) -> None:
    parts = [
        clips.write_clip(
            tmp_path / f"{width}.h264", [clips.random_frame("yuv420p", 0, (width, 96))] * 3, codec="libx264"
        ).read_bytes()
        for width in (128, 160)
    ]
    joined = tmp_path / "joined.h264"
    joined.write_bytes(b"".join(parts))
    with pytest.raises(VideoFileError, match="change from 128 x 96 to 160 x 96"):
        restore_video(joined, tmp_path / "out.mp4", models)


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("b.avi", {}, r"videos are written as \.mp4"),
        ("b.mp4", {"codec": "nothing"}, "There is no encoder 'nothing'"),
        ("b.mp4", {"codec": "aac"}, "encodes audio"),
        ("b.mp4", {"codec": "libx264", "pixel_format": "pal8"}, "does not encode pal8"),
        ("b.mov", {"codec": "prores_ks", "quality": 10}, "quality is not supported for prores_ks"),
        ("b.mov", {"codec": "prores_ks", "lossless": True}, "cannot encode yuv420p without loss"),
        ("b.mp4", {"codec": "mpeg4", "lossless": True}, "not known to be lossless"),
        ("b.mp4", {"codec": "libx265", "quality": 60}, "quality must be from 0 to 51 for libx265, got 60"),
        ("b.mp4", {"codec": "libsvtav1", "quality": 0}, "quality must be from 1 to 63 for libsvtav1, got 0"),
        ("b.mov", {"codec": "dnxhd"}, r"dnxhd cannot encode 160 x 120 pixels of yuv\w+ at 25 frames per second"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    clips: ModuleType, tmp_path: Path, models: RestorationModels, target: str, options: dict[str, Any], message: str
) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", [clips.random_frame("yuv420p", 0)])
    with pytest.raises(OptionError, match=message):
        restore_video(source, tmp_path / target, models, video=VideoOptions(encoding=EncodingOptions(**options)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


@pytest.mark.parametrize(
    ("codec", "pixel_format", "tags", "target", "options"),
    [
        ("ffv1", "gray", {}, "b.mp4", {}),
        ("libx264", "yuvj420p", {"color_range": 2, "colorspace": 5}, "b.mov", {"codec": "prores_ks"}),
        ("libx264", "yuv420p", {"color_range": 1, "colorspace": 1}, "b.mp4", {"codec": "libx264rgb"}),
        ("ffv1", "bgr0", {}, "b.mp4", {"codec": "libx265", "pixel_format": "yuv420p"}),
        ("libx264rgb", "bgr24", {"color_range": 2, "colorspace": 0}, "b.mp4", {}),
        ("libx264rgb", "bgr24", {"color_range": 2, "colorspace": 0}, "b.mov", {"codec": "prores_ks"}),
    ],
    ids=[
        "untagged gray",
        "full range without a flag",
        "YUV to RGB",
        "RGB to YUV",
        "tagged RGB to YUV",
        "tagged RGB to ProRes",
    ],
)
def test_players_show_the_colors_of_the_source(
    clips: ModuleType,
    tmp_path: Path,
    models: RestorationModels,
    codec: str,
    pixel_format: str,
    tags: dict[str, int],
    target: str,
    options: dict[str, Any],
) -> None:
    frames = [clips.random_frame("gbrp", 0).reformat(format=pixel_format) for _ in range(2)]
    source = clips.write_clip(tmp_path / "a.mkv", frames, codec=codec, **tags)
    restore_video(source, tmp_path / target, models, video=VideoOptions(encoding=EncodingOptions(**options)))
    before, after = (
        clips.decoded(path)[0].to_ndarray(format="rgb24").astype(float) for path in (source, tmp_path / target)
    )
    assert before.std() > 10
    assert abs(after - before).mean(axis=(0, 1)).max() < 4
    assert abs(after.mean(axis=(0, 1)) - before.mean(axis=(0, 1))).max() < 2


def test_sound_whose_times_jump_back_continues(
    clips: ModuleType, tmp_path: Path, models: RestorationModels, caplog: pytest.LogCaptureFixture
) -> None:
    part = clips.write_clip(tmp_path / "part.ts", clips.noisy_frames(10), codec="libx264", sound="aac")
    source = tmp_path / "joined.ts"
    source.write_bytes(2 * part.read_bytes())
    restore_video(source, tmp_path / "out.mkv", models)
    assert "The times of the audio jump back by 0.4" in caplog.text
    times = [time for time, _ in clips.packets(tmp_path / "out.mkv", "audio")]
    assert len(times) == len(clips.packets(source, "audio")) == 2 * len(clips.packets(part, "audio"))
    assert np.diff(times).min() > 0.015
    assert np.diff(times).max() < 0.05
    assert len(clips.decoded(tmp_path / "out.mkv")) == 20


def test_lost_transparency_is_reported(
    clips: ModuleType, tmp_path: Path, models: RestorationModels, caplog: pytest.LogCaptureFixture
) -> None:
    frames = [clips.random_frame("yuva420p", 0)]
    source = clips.write_clip(tmp_path / "a.webm", frames, codec="libvpx-vp9")
    restore_video(source, tmp_path / "b.webm", models)
    assert "the transparency of a.webm is lost, because FFmpeg's decoder ignores it" in caplog.text
    with clips.av.open(str(tmp_path / "b.webm")) as container:
        assert container.streams.video[0].metadata.get("alpha_mode") is None


@pytest.mark.parametrize("is_hdr", [False, True])
def test_lost_hdr_metadata_is_reported(
    clips: ModuleType, tmp_path: Path, found: RestorationModels, caplog: pytest.LogCaptureFixture, is_hdr: bool
) -> None:
    light_levels = ":max-cll=1000,400" if is_hdr else ""
    frames = [clips.random_frame("yuv420p10le", 0)]
    source = clips.write_clip(
        tmp_path / "a.mkv", frames, codec="libx265", options={"x265-params": f"log-level=none{light_levels}"}
    )
    restore_video(source, tmp_path / "b.mkv", found)
    assert ("the HDR metadata of a.mkv is lost" in caplog.text) == is_hdr


def test_transparency_of_webm_has_a_format_that_its_encoder_accepts() -> None:
    encoding = choose_encoding(EncodingOptions(), "webm", "gbrap", Size(64, 48))
    assert (encoding.codec, encoding.pixel_format) == ("libvpx-vp9", "yuva420p")


def test_quality_and_lossless_contradict_each_other() -> None:
    with pytest.raises(OptionError, match="quality has no effect"):
        EncodingOptions(quality=10, lossless=True)


def test_a_container_that_cannot_hold_the_sound_is_refused_before_the_work(
    clips: ModuleType, tmp_path: Path, found: RestorationModels
) -> None:
    source = clips.write_clip(tmp_path / "a.mp4", [clips.random_frame("yuv420p", 0)] * 3, codec="libx264", sound="aac")
    with pytest.raises(VideoFileError, match="cannot contain the aac sound"):
        restore_video(source, tmp_path / "b.webm", found, progress=lambda *_: pytest.fail("work was done"))


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
def test_pcm_sound_without_a_channel_order_is_copied(
    clips: ModuleType, tmp_path: Path, found: RestorationModels, suffix: str
) -> None:
    frames = [clips.random_frame("yuv420p", seed) for seed in range(3)]
    source = clips.write_clip(tmp_path / f"a{suffix}", frames, codec="mpeg4", sound="pcm_s16le")
    restore_video(source, tmp_path / "b.mp4", found)
    with clips.av.open(str(tmp_path / "b.mp4")) as container:
        assert container.streams.audio[0].layout.name == "stereo"
        assert sum(frame.samples for frame in container.decode(audio=0)) == 3 * 1920


def test_sound_that_no_container_can_hold_must_be_converted(
    clips: ModuleType, tmp_path: Path, found: RestorationModels
) -> None:
    frames = [clips.random_frame("yuv420p", seed) for seed in range(3)]
    source = clips.write_clip(tmp_path / "a.avi", frames, codec="mpeg4", sound="adpcm_ms")
    with pytest.raises(
        VideoFileError, match=r"\.mkv files cannot contain the adpcm_ms sound of .* Convert the sound first"
    ):
        restore_video(source, tmp_path / "b.mkv", found)


def test_lossless_is_refused_where_bits_would_be_lost(
    clips: ModuleType, tmp_path: Path, models: RestorationModels, caplog: pytest.LogCaptureFixture
) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", [clips.random_frame("yuv420p10le", 0)])
    with pytest.raises(OptionError, match="libvpx-vp9 cannot encode yuv420p10le without loss"):
        restore_video(source, tmp_path / "b.webm", models, video=LOSSLESS)
    with caplog.at_level(logging.WARNING):
        restore_video(source, tmp_path / "b.webm", models)
    assert "does not encode yuv420p10le: the video is stored as" in caplog.text
    choose_encoding(EncodingOptions(), "mp4", "yuv420p", Size(163, 131))
    assert "libx264 does not encode yuv420p at the odd size 163 x 131: the video is stored as yuv444p." in caplog.text


def test_without_pyav_the_message_says_what_to_install(
    tmp_path: Path, models: RestorationModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MissingPackageError, match='pip install "av>=18"'):
        restore_video(tmp_path / "a.mp4", tmp_path / "b.mp4", models)


def flicker(clips: ModuleType, frames: list[Any]) -> float:
    """Mean change of the luma of the faces' middles from frame to frame, in levels."""
    luma = np.stack([clips.planes(frame)[0][24:60, 24:60] for frame in frames]).astype(float)
    return float(np.abs(np.diff(luma, axis=0)).mean())


def still_frames(clips: ModuleType, noise: int) -> list[Any]:
    """Return ten equal frames with different noise from 0 to ``noise``, of 255."""
    frames = [clips.random_frame("yuv444p", 0) for _ in range(10)]
    for index, frame in enumerate(frames):
        for plane in frame.planes:
            samples = clips.plane_of(plane, 8)
            samples += np.random.default_rng(index).integers(0, noise + 1, samples.shape, dtype=np.uint8)
    return frames


def test_what_the_networks_make_of_noise_does_not_flicker(
    clips: ModuleType, tmp_path: Path, found: RestorationModels
) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", still_frames(clips, 8))
    results: list[float] = []
    for steady_frames in (0, 3):
        options = VideoOptions(steady_frames=steady_frames, encoding=EncodingOptions(lossless=True))
        restore_video(source, tmp_path / "b.mkv", found, WHOLE_CROP, options)
        results.append(flicker(clips, clips.decoded(tmp_path / "b.mkv")))
    assert results[1] < 0.5 * results[0]


@pytest.mark.parametrize(
    ("changed", "restored"),
    [
        (None, [0, 2, 4, 6, 8, 9]),  # the last frame has no next one
        (4, [0, 2, 3, 4, 5, 6, 8, 9]),
        (5, [0, 2, 4, 5, 6, 8, 9]),
    ],
)
def test_every_second_frame_of_a_face_that_does_not_change_is_averaged(
    clips: ModuleType,
    tmp_path: Path,
    found: RestorationModels,
    monkeypatch: pytest.MonkeyPatch,
    changed: int | None,
    restored: list[int],
) -> None:
    frames = still_frames(clips, 2)
    if changed is not None:
        clips.plane_of(frames[changed].planes[0], 8)[44:50, 34:46] = 20  # the middle of the first face
    counts: list[int] = []

    def counting(crops: Tensor, *args: Any, **options: Any) -> Tensor:
        counts.append(len(crops))
        return enhance_faces(crops, *args, **options)

    monkeypatch.setattr("psfr_core.video.restore_frames.enhance_faces", counting)
    source = clips.write_clip(tmp_path / "a.mkv", frames)
    restore_video(source, tmp_path / "b.mkv", found, WHOLE_CROP, LOSSLESS)
    assert sum(counts) == len(restored) + 6  # the second face does not change
