"""Test videos that are restored in segments."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from psfr_core.errors import InputError, OptionError, VideoFileError
from psfr_core.restoration.paste_options import PasteOptions
from psfr_core.restoration.restoration_models import RestorationModels
from psfr_core.restoration.restore_options import RestoreOptions
from psfr_core.video.clip_plan import ClipPlan, plan_clip
from psfr_core.video.encoding import EncodingOptions
from psfr_core.video.join_segments import join_segments
from psfr_core.video.plan_file import load_plan, read_notes, save_plan
from psfr_core.video.restore_in_segments import parts_folder, restore_in_segments
from psfr_core.video.restore_segment import restore_segment
from psfr_core.video.restore_video import restore_video
from psfr_core.video.video_options import VideoOptions
from psfr_core.video.write_video import choose_output

pytest.importorskip("av")

LOSSLESS = VideoOptions(steady_frames=1, encoding=EncodingOptions(lossless=True))
LOSSY = VideoOptions(steady_frames=1)
WHOLE_CROP = RestoreOptions(guard=False, paste=PasteOptions(regions=None))


@pytest.mark.slow
@pytest.mark.parametrize("steady_frames", [0, 3])
def test_segments_have_no_seams(
    clips: ModuleType, source: Path, tmp_path: Path, moving: RestorationModels, steady_frames: int
) -> None:
    video = replace(LOSSLESS, steady_frames=steady_frames)
    restore_video(source, tmp_path / "whole.mkv", moving, WHOLE_CROP, video)
    result = restore_in_segments(source, tmp_path / "parts.mkv", moving, WHOLE_CROP, video, segment_frames=5)
    assert (result.frame_count, result.face_count, result.shot_count, result.damage) == (16, 2, 1, "")
    assert clips.are_equal(tmp_path / "whole.mkv", tmp_path / "parts.mkv")
    assert not clips.are_equal(source, tmp_path / "parts.mkv")
    assert not parts_folder(tmp_path / "parts.mkv").exists()


def test_segments_between_repeated_frames_have_no_seams(
    clips: ModuleType, tmp_path: Path, moving: RestorationModels
) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", clips.noisy_frames(12, repeats=(3, 4, 5, 6, 9)))
    restore_video(source, tmp_path / "whole.mkv", moving, WHOLE_CROP, LOSSLESS)
    restore_in_segments(source, tmp_path / "parts.mkv", moving, WHOLE_CROP, LOSSLESS, segment_frames=5)
    assert clips.are_equal(tmp_path / "whole.mkv", tmp_path / "parts.mkv")
    planes = clips.all_planes(tmp_path / "parts.mkv")[::3]
    assert [index for index in range(1, 12) if np.array_equal(planes[index], planes[index - 1])] == [3, 4, 5, 6, 9]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_times_and_sound_are_those_of_the_source(
    clips: ModuleType, source: Path, tmp_path: Path, moving: RestorationModels, suffix: str
) -> None:
    target = tmp_path / f"b{suffix}"
    restore_in_segments(source, target, moving, WHOLE_CROP, LOSSY, segment_frames=5)
    restore_video(source, tmp_path / f"whole{suffix}", moving, WHOLE_CROP, LOSSY)
    after, whole = (
        [frame.pts * frame.time_base for frame in clips.decoded(path)] for path in (target, tmp_path / f"whole{suffix}")
    )
    assert after == whole
    assert clips.packets(target, "audio") == clips.packets(tmp_path / f"whole{suffix}", "audio")
    assert [data for _, data in clips.packets(target, "audio")] == [data for _, data in clips.packets(source, "audio")]
    if suffix != ".mkv":  # which shifts negative times of the sound, and rounds
        assert after == [Fraction(time, 24) for time in clips.TIMES]
        assert clips.packets(target, "audio") == clips.packets(source, "audio")
    with clips.av.open(str(target)) as container:
        keys = [frame.key_frame for frame in container.decode(video=0)]
    assert [keys[start] for start in (0, 5, 10, 15)] == [True] * 4


@pytest.mark.parametrize(
    ("name", "tensor"),
    [("timestamps", torch.zeros(0)), ("checksums", torch.zeros(3)), ("landmarks", torch.zeros(2, 5, 2))],
)
def test_an_incomplete_plan_is_an_error(
    source: Path, tmp_path: Path, moving: RestorationModels, name: str, tensor: torch.Tensor
) -> None:
    path = tmp_path / "plan.safetensors"
    save_plan(path, plan_clip(source, moving))
    with safe_open(str(path), "pt") as file:
        metadata = file.metadata()
    path.write_bytes(save({**load_file(path), name: tensor}, metadata))
    with pytest.raises(VideoFileError, match="cannot be read as the plan of a video .* Remove it and its segments"):
        load_plan(path)


def test_frames_within_a_millisecond_keep_their_order(
    clips: ModuleType, tmp_path: Path, moving: RestorationModels
) -> None:
    times = [*range(0, 60, 10), 90000, 90030]  # in units of 1/90000 s
    source = clips.write_clip(
        tmp_path / "a.mp4",
        clips.noisy_frames(len(times)),
        codec="libx264",
        timestamps=times,
        time_base=Fraction(1, 90000),
        options={"qp": "0", "bf": "0"},
    )
    video = VideoOptions(steady_frames=0, encoding=EncodingOptions(codec="libx264"))
    restore_in_segments(source, tmp_path / "b.mp4", moving, WHOLE_CROP, video, segment_frames=5)
    restore_video(source, tmp_path / "whole.mp4", moving, WHOLE_CROP, video)
    after = [frame.pts * frame.time_base for frame in clips.decoded(tmp_path / "b.mp4")]
    assert after == [frame.pts * frame.time_base for frame in clips.decoded(tmp_path / "whole.mp4")]
    assert after == [Fraction(time, 90000) for time in times]


def test_a_plan_is_stored_completely(
    clips: ModuleType, source: Path, tmp_path: Path, moving: RestorationModels
) -> None:
    plan = plan_clip(source, moving)
    save_plan(tmp_path / "plan.safetensors", plan, "notes")
    loaded = load_plan(tmp_path / "plan.safetensors")
    assert read_notes(tmp_path / "plan.safetensors") == "notes"
    assert (loaded.timestamps, loaded.checksums) == (plan.timestamps, plan.checksums)
    assert loaded.timestamps == [1000 * time for time in clips.TIMES]
    assert len(set(plan.checksums)) == 16
    assert (loaded.shot_count, loaded.damage) == (1, "")
    assert loaded.faces.sides == plan.faces.sides
    for frame in range(16):
        for one, other in zip(plan.faces.faces_in(frame, 64), loaded.faces.faces_in(frame, 64), strict=True):
            assert one.image_to_crop.tolist() == other.image_to_crop.tolist()
            assert (one.track, one.strength, one.face.box) == (other.track, other.strength, other.face.box)
            assert one.face.landmarks.tolist() == other.face.landmarks.tolist()
    with pytest.raises(InputError, match="for crops of 64 px, but the generator needs 128 px"):
        plan.faces.faces_in(0, 128)


def test_a_plan_without_faces_is_stored(source: Path, tmp_path: Path, models: RestorationModels) -> None:
    save_plan(tmp_path / "plan.safetensors", plan_clip(source, models))
    assert load_plan(tmp_path / "plan.safetensors").faces.faces_in(3, 64) == []
    (tmp_path / "plan.safetensors").write_bytes(b"nothing")
    with pytest.raises(VideoFileError, match=r"plan\.safetensors cannot be read as the plan of a video"):
        load_plan(tmp_path / "plan.safetensors")


@pytest.mark.slow
def test_segments_of_any_order_and_length_are_joined(
    clips: ModuleType, source: Path, tmp_path: Path, moving: RestorationModels
) -> None:
    restore_video(source, tmp_path / "whole.mkv", moving, WHOLE_CROP, LOSSLESS)
    plan = plan_clip(source, moving, WHOLE_CROP, LOSSLESS)
    encoding = choose_output(source, tmp_path / "b.mkv", LOSSLESS.encoding)
    parts: dict[int, Path] = {}
    for start, stop in ((9, 16), (0, 2), (2, 9)):
        parts[start] = tmp_path / f"{start}.mkv"
        restore_segment(source, plan, start, stop, parts[start], moving, encoding, WHOLE_CROP, LOSSLESS)
        assert len(clips.decoded(parts[start])) == stop - start
    join_segments([parts[0], parts[2], parts[9]], source, tmp_path / "b.mkv", plan.timestamps)
    assert clips.are_equal(tmp_path / "whole.mkv", tmp_path / "b.mkv")
    with pytest.raises(VideoFileError, match="9 packets for 16 frames"):
        join_segments([parts[0], parts[9]], source, tmp_path / "c.mkv", plan.timestamps)
    assert not (tmp_path / "c.mkv").exists()
    with pytest.raises(InputError, match="frames 0 to 15, not 9 to 16"):
        restore_segment(source, plan, 9, 17, tmp_path / "x.mkv", moving, encoding)


@pytest.mark.slow
def test_a_file_without_an_index_is_decoded_from_the_beginning(
    clips: ModuleType, tmp_path: Path, moving: RestorationModels
) -> None:
    source = clips.write_clip(tmp_path / "a.h264", clips.noisy_frames(12), codec="libx264", options={"g": "4"})
    restore_video(source, tmp_path / "whole.mkv", moving, WHOLE_CROP, LOSSLESS)
    restore_in_segments(source, tmp_path / "parts.mkv", moving, WHOLE_CROP, LOSSLESS, segment_frames=5)
    assert clips.are_equal(tmp_path / "whole.mkv", tmp_path / "parts.mkv")


def test_a_codec_that_segments_cannot_contain_is_refused_before_the_work(
    clips: ModuleType, tmp_path: Path, models: RestorationModels
) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", clips.noisy_frames(2))
    video = VideoOptions(encoding=EncodingOptions(codec="png"))
    with pytest.raises(OptionError, match=r"segment\.mkv: \.mkv files cannot contain png video"):
        restore_in_segments(source, tmp_path / "b.mov", models, video=video)
    with pytest.raises(OptionError, match=r"c\.webm: \.webm files cannot contain h264 video"):
        restore_video(
            source, tmp_path / "c.webm", models, video=VideoOptions(encoding=EncodingOptions(codec="libx264"))
        )
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


def test_a_changed_file_is_noticed(clips: ModuleType, source: Path, tmp_path: Path, moving: RestorationModels) -> None:
    plan: ClipPlan = plan_clip(source, moving, WHOLE_CROP, LOSSLESS)
    changed = replace(plan, checksums=[*plan.checksums[:12], 0, *plan.checksums[13:]])
    encoding = choose_output(source, tmp_path / "b.mkv", LOSSLESS.encoding)
    with pytest.raises(VideoFileError, match="Frame 12 of .* differs from the first pass"):
        restore_segment(source, changed, 10, 14, tmp_path / "b.mkv", moving, encoding, WHOLE_CROP, LOSSLESS)
    assert not (tmp_path / "b.mkv").exists()


@pytest.mark.parametrize(
    ("suffix", "pixel_format", "encoding"),
    [
        (".webm", "yuv420p", EncodingOptions()),
        (".mp4", "yuv420p", EncodingOptions(codec="libx265")),
        (".mp4", "yuv420p", EncodingOptions(codec="libsvtav1")),
        (".mov", "yuv422p10le", EncodingOptions(codec="prores_ks")),
        (".mkv", "gbrp", EncodingOptions(lossless=True, codec="libx264rgb")),
    ],
)
def test_joined_packets_of_each_codec_are_decoded_like_their_segments(
    clips: ModuleType,
    tmp_path: Path,
    moving: RestorationModels,
    suffix: str,
    pixel_format: str,
    encoding: EncodingOptions,
) -> None:
    stored = "bgr0" if pixel_format == "gbrp" else pixel_format
    frames = [clips.random_frame(pixel_format, 0).reformat(format=stored) for _ in range(6)]
    source = clips.write_clip(tmp_path / "a.mkv", frames)
    video = VideoOptions(steady_frames=0, encoding=encoding)
    plan = plan_clip(source, moving, WHOLE_CROP, video)
    output = choose_output(source, tmp_path / f"b{suffix}", encoding)
    parts = [tmp_path / "0.mkv", tmp_path / "4.mkv"]
    for path, (start, stop) in zip(parts, ((0, 4), (4, 6)), strict=True):
        restore_segment(source, plan, start, stop, path, moving, output, WHOLE_CROP, video)
    join_segments(parts, source, tmp_path / f"b{suffix}", plan.timestamps)
    joined = clips.decoded(tmp_path / f"b{suffix}")
    separate = [frame for path in parts for frame in clips.decoded(path)]
    assert len(joined) == len(separate) == 6
    assert joined[0].format.name == separate[0].format.name
    for one, other in zip(joined, separate, strict=True):
        assert np.array_equal(one.to_ndarray(format="rgb24"), other.to_ndarray(format="rgb24"))
        assert float(one.pts * one.time_base) == pytest.approx(float(other.pts * other.time_base), abs=1e-3)


def test_transparency_survives_joining(clips: ModuleType, tmp_path: Path, moving: RestorationModels) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", [clips.random_frame("yuva420p", seed) for seed in range(4)])
    video = VideoOptions(encoding=EncodingOptions(pixel_format="yuva420p"))
    restore_in_segments(source, tmp_path / "b.webm", moving, WHOLE_CROP, video, segment_frames=2)
    with clips.av.open(str(tmp_path / "b.webm")) as container:
        decoder = clips.av.CodecContext.create("libvpx-vp9", "r")  # FFmpeg's own decoder ignores transparency
        frames = [frame for packet in container.demux(video=0) if packet.size for frame in decoder.decode(packet)]
    assert [frame.format.name for frame in frames] == ["yuva420p"] * 4
    for before, after in zip(clips.decoded(source), frames, strict=True):
        assert np.abs(clips.planes(before)[3].astype(int) - clips.planes(after)[3]).mean() < 3
