"""Videos that are restored in segments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from psfr_core.errors import InputError, OptionError, VideoFileError
from psfr_core.faces.face import Face
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
from psfr_core.video.tracks import TrackOptions
from psfr_core.video.video_options import VideoOptions, VideoStep
from psfr_core.video.write_video import choose_output

pytest.importorskip("av")

LOSSLESS = VideoOptions(steady_frames=1, encoding=EncodingOptions(lossless=True))
LOSSY = VideoOptions(steady_frames=1)
WHOLE_CROP = RestoreOptions(guard=False, paste=PasteOptions(regions=None))
TIMES = [0, 3, 4, 10, 17, 18, 40, 41, 42, 60, 61, 62, 63, 64, 70, 71]  # a variable frame rate


@pytest.fixture
def moving(models: RestorationModels, two_faces: list[Face]) -> RestorationModels:
    """Return models whose detector finds two faces that move by a pixel per image."""

    class MovingFaces:
        def detect(self, images: Any, *_: Any, **__: Any) -> list[list[Face]]:
            # Rounded, because the sum of many numbers depends on where they lie in memory.
            shifts = [round(8 * float(image.double().mean()), 2) for image in images]
            return [[replace(face, landmarks=face.landmarks + shift) for face in two_faces] for shift in shifts]

    return replace(models, detector=MovingFaces())


def noisy_frames(clips: ModuleType, count: int = len(TIMES), repeats: tuple[int, ...] = ()) -> list[Any]:
    """Frames of one picture with new noise each, so that results depend on the frames around."""
    frames = [clips.random_frame("yuv420p", 0) for _ in range(count)]
    seed = 0
    for index, frame in enumerate(frames):
        seed += index not in repeats
        for plane in frame.planes:
            samples = clips.plane_of(plane, 8)
            samples += np.random.default_rng(seed).integers(0, 12, samples.shape, dtype=np.uint8)
    return frames


@pytest.fixture
def source(clips: ModuleType, tmp_path: Path) -> Path:
    """Return a clip of 16 frames at a variable frame rate, with reordered frames and sound."""
    return clips.write_clip(
        tmp_path / "a.mp4",
        noisy_frames(clips),
        codec="libx264",
        timestamps=[1000 * time for time in TIMES],
        time_base=Fraction(1, 24000),
        options={"qp": "0", "g": "6"},
        sound="aac",
    )


def luma(clips: ModuleType, path: Path) -> list[Any]:
    return [plane for frame in clips.decoded(path) for plane in clips.planes(frame)]


def are_equal(clips: ModuleType, one: Path, other: Path) -> bool:
    pairs = zip(luma(clips, one), luma(clips, other), strict=True)
    return all(np.array_equal(first, second) for first, second in pairs)


def stop_at(step: VideoStep, frame: int) -> Callable[[VideoStep, int, int], None]:
    def stop(now: VideoStep, done: int, _: int) -> None:
        if (now, done) == (step, frame):
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("steady_frames", [0, 3])
def test_segments_have_no_seams(
    clips: ModuleType, source: Path, tmp_path: Path, moving: RestorationModels, steady_frames: int
) -> None:
    video = replace(LOSSLESS, steady_frames=steady_frames)
    restore_video(source, tmp_path / "whole.mkv", moving, WHOLE_CROP, video)
    result = restore_in_segments(source, tmp_path / "parts.mkv", moving, WHOLE_CROP, video, segment_frames=5)
    assert (result.frame_count, result.face_count, result.shot_count, result.damage) == (16, 2, 1, "")
    assert are_equal(clips, tmp_path / "whole.mkv", tmp_path / "parts.mkv")
    assert not are_equal(clips, source, tmp_path / "parts.mkv")
    assert not parts_folder(tmp_path / "parts.mkv").exists()


def test_segments_between_repeated_frames_have_no_seams(
    clips: ModuleType, tmp_path: Path, moving: RestorationModels
) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", noisy_frames(clips, 12, repeats=(3, 4, 5, 6, 9)))
    restore_video(source, tmp_path / "whole.mkv", moving, WHOLE_CROP, LOSSLESS)
    restore_in_segments(source, tmp_path / "parts.mkv", moving, WHOLE_CROP, LOSSLESS, segment_frames=5)
    assert are_equal(clips, tmp_path / "whole.mkv", tmp_path / "parts.mkv")
    planes = luma(clips, tmp_path / "parts.mkv")[::3]
    assert [index for index in range(1, 12) if np.array_equal(planes[index], planes[index - 1])] == [3, 4, 5, 6, 9]


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
        assert after == [Fraction(time, 24) for time in TIMES]
        assert clips.packets(target, "audio") == clips.packets(source, "audio")
    with clips.av.open(str(target)) as container:
        keys = [frame.key_frame for frame in container.decode(video=0)]
    assert [keys[start] for start in (0, 5, 10, 15)] == [True] * 4


def test_an_interrupted_video_resumes_with_the_first_missing_segment(
    clips: ModuleType,
    source: Path,
    tmp_path: Path,
    moving: RestorationModels,
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole, target = tmp_path / "whole.mp4", tmp_path / "out" / "b.mp4"
    restore_in_segments(source, whole, moving, WHOLE_CROP, LOSSLESS, segment_frames=4)
    target.parent.mkdir()
    with pytest.raises(KeyboardInterrupt):
        restore_in_segments(
            source, target, moving, WHOLE_CROP, LOSSLESS, segment_frames=4, progress=stop_at(VideoStep.RESTORE, 10)
        )
    assert "2 of 4 segments are finished" in caplog.text
    parts = parts_folder(target)
    assert sorted(path.name for path in target.parent.iterdir()) == ["b.mp4.parts"]
    assert sorted(path.name for path in parts.iterdir()) == ["00000000.mkv", "00000004.mkv", "plan.safetensors"]
    (parts / ".psfr-half.tmp").write_bytes(b"half")  # of a killed program
    written = (parts / "00000004.mkv").stat().st_mtime_ns
    seen: list[tuple[VideoStep, int]] = []

    def note(step: VideoStep, done: int, total: int) -> None:
        assert total == 16
        assert (parts / "00000004.mkv").stat().st_mtime_ns == written
        seen.append((step, done))

    restore_in_segments(source, target, moving, WHOLE_CROP, LOSSLESS, segment_frames=4, progress=note)
    assert {step for step, _ in seen} == {VideoStep.RESTORE}
    assert (min(done for _, done in seen), seen[-1][1]) == (8, 16)
    assert [path.name for path in target.parent.iterdir()] == ["b.mp4"]
    assert are_equal(clips, target, whole)
    assert clips.packets(target, "audio") == clips.packets(whole, "audio")


def test_damaged_segments_are_restored_again(
    clips: ModuleType, source: Path, tmp_path: Path, moving: RestorationModels, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "b.mp4"
    with pytest.raises(KeyboardInterrupt):
        restore_in_segments(
            source, target, moving, WHOLE_CROP, LOSSLESS, segment_frames=4, progress=stop_at(VideoStep.RESTORE, 14)
        )
    kept, cut, empty = sorted(parts_folder(target).glob("*.mkv"))
    written = kept.stat().st_mtime_ns
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    empty.write_bytes(b"")

    def note(*_: object) -> None:
        assert kept.stat().st_mtime_ns == written

    restore_in_segments(source, target, moving, WHOLE_CROP, LOSSLESS, segment_frames=4, progress=note)
    assert f"{cut} is damaged" in caplog.text
    assert f"{empty} is damaged: it has 0 frames instead of 4. It is restored again." in caplog.text
    assert f"{kept} is" not in caplog.text
    restore_video(source, tmp_path / "whole.mp4", moving, WHOLE_CROP, LOSSLESS)
    assert are_equal(clips, target, tmp_path / "whole.mp4")


def test_a_folder_of_parts_that_cannot_be_used_is_an_error_before_the_work(
    source: Path, tmp_path: Path, models: RestorationModels
) -> None:
    target = tmp_path / "b.mp4"
    parts_folder(target).write_bytes(b"mine")

    def stop(*_: object) -> None:
        pytest.fail("The video was read.")

    with pytest.raises(OptionError, match=r"b\.mp4\.parts is not a folder, but .* Rename it, or choose another output"):
        restore_in_segments(source, target, models, progress=stop)
    assert parts_folder(target).read_bytes() == b"mine"
    parts_folder(target).unlink()
    parts_folder(target).mkdir()
    (parts_folder(target) / "00000000.mkv").write_bytes(b"of unknown settings")
    with pytest.raises(OptionError, match=r"has segments, but plan\.safetensors, .*, is missing\. Delete the folder"):
        restore_in_segments(source, target, models, progress=stop)
    assert (parts_folder(target) / "00000000.mkv").exists()


def test_other_files_in_the_folder_of_parts_are_kept(
    source: Path, tmp_path: Path, moving: RestorationModels, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "b.mp4.parts"
    folder.mkdir()
    clip = source.rename(folder / "holiday.mkv")
    restore_in_segments(clip, tmp_path / "b.mp4", moving, WHOLE_CROP, LOSSY, segment_frames=8)
    assert [path.name for path in folder.iterdir()] == ["holiday.mkv"]
    assert f"{folder} is not removed, because it has other files." in caplog.text


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


@pytest.mark.parametrize("notes", ["", "{", "[1]"])
def test_unreadable_settings_are_an_error(source: Path, tmp_path: Path, moving: RestorationModels, notes: str) -> None:
    parts_folder(tmp_path / "b.mp4").mkdir()
    save_plan(parts_folder(tmp_path / "b.mp4") / "plan.safetensors", plan_clip(source, moving), notes)
    with pytest.raises(
        OptionError, match=r"settings in .*b\.mp4\.parts cannot be read\. Delete the folder to start over"
    ):
        restore_in_segments(source, tmp_path / "b.mp4", moving)


def test_frames_within_a_millisecond_keep_their_order(
    clips: ModuleType, tmp_path: Path, moving: RestorationModels
) -> None:
    times = [*range(0, 60, 10), 90000, 90030]  # in units of 1/90000 s
    source = clips.write_clip(
        tmp_path / "a.mp4",
        noisy_frames(clips, len(times)),
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


@pytest.mark.parametrize("step", [VideoStep.FIND, VideoStep.REGISTER])
def test_an_interrupted_plan_leaves_nothing(
    source: Path, tmp_path: Path, moving: RestorationModels, step: VideoStep
) -> None:
    target = tmp_path / "out" / "b.mp4"
    target.parent.mkdir()
    with pytest.raises(KeyboardInterrupt):
        restore_in_segments(source, target, moving, progress=stop_at(step, 16))
    assert not list(target.parent.iterdir())


def test_another_command_is_refused_by_the_names_of_its_settings(
    clips: ModuleType, source: Path, tmp_path: Path, moving: RestorationModels
) -> None:
    target = tmp_path / "b.mp4"

    def restore(
        models: RestorationModels = moving,
        options: RestoreOptions = WHOLE_CROP,
        video: VideoOptions = LOSSY,
        segment_frames: int = 4,
    ) -> None:
        stop = stop_at(VideoStep.RESTORE, 6)
        restore_in_segments(source, target, models, options, video, segment_frames=segment_frames, progress=stop)

    with pytest.raises(KeyboardInterrupt):
        restore()
    with pytest.raises(OptionError, match=r"restore\.strength was 1\.0, is 0\.5\. Restore the former settings"):
        restore(options=replace(WHOLE_CROP, strength=0.5))
    with pytest.raises(OptionError, match=r"video\.tracks\.max_gap was 8, is 2\."):
        restore(video=replace(LOSSY, tracks=TrackOptions(max_gap=2)))
    with pytest.raises(OptionError, match=r"encoding\.codec was \"libx264\", is \"libx265\""):
        restore(video=replace(LOSSY, encoding=EncodingOptions(codec="libx265")))
    with pytest.raises(OptionError, match=r"segment_frames was 4, is 5\."):
        restore(segment_frames=5)
    with pytest.raises(KeyboardInterrupt):
        restore(options=replace(WHOLE_CROP, batch_size=2))
    bias = next(moving.parse_net.parameters())
    kept = bias.detach().clone()
    bias.data += 1
    with pytest.raises(OptionError, match=r"began with other settings: models\.parser was"):
        restore()
    bias.data = kept
    source.write_bytes(source.read_bytes() + b"\0")
    with pytest.raises(OptionError, match=r"source\.size was \d+, is \d+; source\.sha256"):
        restore()
    assert not target.exists()


def test_a_plan_is_stored_completely(source: Path, tmp_path: Path, moving: RestorationModels) -> None:
    plan = plan_clip(source, moving)
    save_plan(tmp_path / "plan.safetensors", plan, "notes")
    loaded = load_plan(tmp_path / "plan.safetensors")
    assert read_notes(tmp_path / "plan.safetensors") == "notes"
    assert (loaded.timestamps, loaded.checksums) == (plan.timestamps, plan.checksums)
    assert loaded.timestamps == [1000 * time for time in TIMES]
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
    assert are_equal(clips, tmp_path / "whole.mkv", tmp_path / "b.mkv")
    with pytest.raises(VideoFileError, match="9 packets for 16 frames"):
        join_segments([parts[0], parts[9]], source, tmp_path / "c.mkv", plan.timestamps)
    assert not (tmp_path / "c.mkv").exists()
    with pytest.raises(InputError, match="frames 0 to 15, not 9 to 16"):
        restore_segment(source, plan, 9, 17, tmp_path / "x.mkv", moving, encoding)


def test_a_file_without_an_index_is_decoded_from_the_beginning(
    clips: ModuleType, tmp_path: Path, moving: RestorationModels
) -> None:
    source = clips.write_clip(tmp_path / "a.h264", noisy_frames(clips, 12), codec="libx264", options={"g": "4"})
    restore_video(source, tmp_path / "whole.mkv", moving, WHOLE_CROP, LOSSLESS)
    restore_in_segments(source, tmp_path / "parts.mkv", moving, WHOLE_CROP, LOSSLESS, segment_frames=5)
    assert are_equal(clips, tmp_path / "whole.mkv", tmp_path / "parts.mkv")


def test_a_codec_that_segments_cannot_contain_is_refused_before_the_work(
    clips: ModuleType, tmp_path: Path, models: RestorationModels
) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", noisy_frames(clips, 2))
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
