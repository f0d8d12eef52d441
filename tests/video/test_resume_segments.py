"""Test the resumption of videos that are restored in segments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from psfr_core.errors import OptionError
from psfr_core.restoration.paste_options import PasteOptions
from psfr_core.restoration.restoration_models import RestorationModels
from psfr_core.restoration.restore_options import RestoreOptions
from psfr_core.video.clip_plan import plan_clip
from psfr_core.video.encoding import EncodingOptions
from psfr_core.video.plan_file import save_plan
from psfr_core.video.restore_in_segments import parts_folder, restore_in_segments
from psfr_core.video.restore_video import restore_video
from psfr_core.video.tracks import TrackOptions
from psfr_core.video.video_options import VideoOptions, VideoStep

pytest.importorskip("av")

LOSSLESS = VideoOptions(steady_frames=1, encoding=EncodingOptions(lossless=True))
LOSSY = VideoOptions(steady_frames=1)
WHOLE_CROP = RestoreOptions(guard=False, paste=PasteOptions(regions=None))


def stop_at(step: VideoStep, frame: int) -> Callable[[VideoStep, int, int], None]:
    def stop(now: VideoStep, done: int, _: int) -> None:
        if (now, done) == (step, frame):
            raise KeyboardInterrupt

    return stop


@pytest.mark.slow
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
    assert clips.are_equal(target, whole)
    assert clips.packets(target, "audio") == clips.packets(whole, "audio")


@pytest.mark.slow
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
    assert clips.are_equal(target, tmp_path / "whole.mp4")


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


@pytest.mark.parametrize("notes", ["", "{", "[1]"])
def test_unreadable_settings_are_an_error(source: Path, tmp_path: Path, moving: RestorationModels, notes: str) -> None:
    parts_folder(tmp_path / "b.mp4").mkdir()
    save_plan(parts_folder(tmp_path / "b.mp4") / "plan.safetensors", plan_clip(source, moving), notes)
    with pytest.raises(
        OptionError, match=r"settings in .*b\.mp4\.parts cannot be read\. Delete the folder to start over"
    ):
        restore_in_segments(source, tmp_path / "b.mp4", moving)


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
