"""Videos that are damaged or unusual, and disks that are full."""

from __future__ import annotations

import errno
import logging
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from psfr_core.errors import MissingPackageError, VideoFileError
from psfr_core.faces.face import Face
from psfr_core.restoration.paste_options import PasteOptions
from psfr_core.restoration.restoration_models import RestorationModels
from psfr_core.restoration.restore_options import RestoreOptions
from psfr_core.video.encoding import EncodingOptions
from psfr_core.video.read_video import load_av
from psfr_core.video.restore_in_segments import parts_folder, restore_in_segments
from psfr_core.video.restore_video import restore_video
from psfr_core.video.restore_video_to_images import restore_video_to_images
from psfr_core.video.tracks import TrackOptions
from psfr_core.video.video_options import VideoOptions
from psfr_core.video.write_video import VideoWriter

pytest.importorskip("av")

LOSSLESS = VideoOptions(steady_frames=1, encoding=EncodingOptions(lossless=True))
WHOLE_CROP = RestoreOptions(guard=False, paste=PasteOptions(regions=None))


@pytest.fixture
def found(models: RestorationModels, two_faces: list[Face]) -> RestorationModels:
    models.detector.faces[:] = two_faces  # type: ignore[attr-defined]
    return models


def luma_changes(clips: ModuleType, before: Path, after: Path) -> list[float]:
    """Return the changed share of the middle of the first face of each frame."""
    pairs = zip(clips.decoded(before), clips.decoded(after), strict=True)
    return [
        float((clips.planes(old)[0][30:50, 30:50] != clips.planes(new)[0][30:50, 30:50]).mean()) for old, new in pairs
    ]


def test_a_face_that_leaves_and_returns_is_restored_each_time(
    clips: ModuleType, tmp_path: Path, models: RestorationModels, two_faces: list[Face]
) -> None:
    frames = [clips.random_frame("yuv420p", 0) for _ in range(24)]
    for index, frame in enumerate(frames):
        clips.plane_of(frame.planes[0], 8)[96:112, 0:16] = 20 + 4 * index  # a gray that numbers the frames
        for plane in frame.planes[1:]:
            clips.plane_of(plane, 8)[48:56, 0:8] = 128
    source = clips.write_clip(tmp_path / "a.mkv", frames)

    class LeavingFace:
        def detect(self, images: Any, *_: Any, **__: Any) -> list[list[Face]]:
            indices = [round((float(image[0, 104, 4]) * 219 + 16 - 20) / 4) for image in images]
            return [[] if 8 <= index < 16 else two_faces[:1] for index in indices]

    video = replace(LOSSLESS, tracks=TrackOptions(max_gap=2))
    result = restore_video(source, tmp_path / "b.mkv", replace(models, detector=LeavingFace()), WHOLE_CROP, video)
    assert (result.frame_count, result.face_count, result.shot_count) == (24, 2, 1)
    changes = luma_changes(clips, source, tmp_path / "b.mkv")
    assert min(changes[:5] + changes[19:]) > 0.8
    assert changes[8:16] == [0.0] * 8


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_interlaced_videos_are_restored_with_a_warning(
    clips: ModuleType, tmp_path: Path, found: RestorationModels, caplog: pytest.LogCaptureFixture, codec: str
) -> None:
    flags = {"flags": "+ildct+ilme"}
    frames = [clips.random_frame("yuv420p", seed) for seed in range(4)]
    source = clips.write_clip(tmp_path / "a.mkv", frames, codec=codec, options=flags)
    assert clips.decoded(source)[0].interlaced_frame
    restore_video(source, tmp_path / "b.mkv", found)
    assert caplog.text.count("a.mkv is interlaced: fields are restored as one image. Deinterlace it first.") == 1
    assert clips.decoded(tmp_path / "b.mkv")[0].interlaced_frame


def test_a_progressive_video_is_not_called_interlaced(
    clips: ModuleType, tmp_path: Path, found: RestorationModels, caplog: pytest.LogCaptureFixture
) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", [clips.random_frame("yuv420p", 0)], codec="libx264")
    restore_video(source, tmp_path / "b.mkv", found)
    assert "interlaced" not in caplog.text


def test_an_unknown_codec_is_an_error_and_nothing_is_written(
    clips: ModuleType, tmp_path: Path, models: RestorationModels
) -> None:
    source = clips.write_clip(tmp_path / "a.mp4", [clips.random_frame("yuv420p", 0)], codec="libx264")
    data = source.read_bytes()
    assert data.count(b"avc1") > 0
    source.write_bytes(data.replace(b"avc1", b"qqqq").replace(b"avcC", b"qqqC"))
    with pytest.raises(VideoFileError, match=r"a\.mp4: the codec of the video is not known to PyAV. Convert the video"):
        restore_video(source, tmp_path / "b.mp4", models)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def damage(clips: ModuleType, source: Path) -> None:
    """Overwrite packet 10 of a video."""
    data = bytearray(source.read_bytes())
    packet = data.find(clips.packets(source, "video")[10][1])
    data[packet : packet + 100] = bytes(range(100))
    source.write_bytes(bytes(data))


@pytest.mark.slow
def test_a_damaged_video_is_restored_in_segments(clips: ModuleType, tmp_path: Path, found: RestorationModels) -> None:
    frames = [clips.random_frame("yuv420p", seed) for seed in range(20)]
    options = {"qp": "0", "bf": "0", "g": "5"}
    source = clips.write_clip(tmp_path / "a.mp4", frames, codec="libx264", options=options)
    damage(clips, source)
    whole = restore_video(source, tmp_path / "whole.mkv", found, WHOLE_CROP, LOSSLESS)
    parts = restore_in_segments(source, tmp_path / "parts.mkv", found, WHOLE_CROP, LOSSLESS, segment_frames=6)
    assert "damaged part" in parts.damage
    assert parts == whole
    pairs = zip(clips.decoded(tmp_path / "whole.mkv"), clips.decoded(tmp_path / "parts.mkv"), strict=True)
    for one, other in pairs:
        assert one.pts == other.pts
        assert all(np.array_equal(a, b) for a, b in zip(clips.planes(one), clips.planes(other), strict=True))


class FullDisk:
    """Replaces ``VideoWriter.write``: the disk is full after some frames."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
        self.left = frames
        write = VideoWriter.write

        def limited(writer: VideoWriter, frame: Any) -> None:
            if self.left == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.left -= 1
            write(writer, frame)

        monkeypatch.setattr(VideoWriter, "write", limited)


def test_a_full_disk_keeps_an_older_result(
    clips: ModuleType, tmp_path: Path, found: RestorationModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", [clips.random_frame("yuv420p", seed) for seed in range(6)])
    (tmp_path / "b.mkv").write_bytes(b"older")
    FullDisk(monkeypatch, 3)
    with pytest.raises(OSError, match=r"No space left on device: '.*b\.mkv'"):
        restore_video(source, tmp_path / "b.mkv", found, video=LOSSLESS)
    assert (tmp_path / "b.mkv").read_bytes() == b"older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv", "b.mkv"]


def test_finished_segments_survive_a_full_disk(
    clips: ModuleType,
    tmp_path: Path,
    found: RestorationModels,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", [clips.random_frame("yuv420p", seed) for seed in range(8)])
    disk, target = FullDisk(monkeypatch, 7), tmp_path / "b.mkv"
    with caplog.at_level(logging.WARNING), pytest.raises(OSError, match="No space left on device"):
        restore_in_segments(source, target, found, WHOLE_CROP, LOSSLESS, segment_frames=3)
    assert "2 of 3 segments are finished" in caplog.text
    names = {path.name for path in parts_folder(target).iterdir()}
    assert names == {"00000000.mkv", "00000003.mkv", "plan.safetensors"}
    assert not target.exists()
    disk.left = 2  # only the last segment is missing
    restore_in_segments(source, target, found, WHOLE_CROP, LOSSLESS, segment_frames=3)
    assert len(clips.decoded(target)) == 8


def test_images_of_a_full_disk_are_complete(
    clips: ModuleType, tmp_path: Path, found: RestorationModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", [clips.random_frame("yuv420p", seed) for seed in range(4)])
    replace_file = Path.replace

    def limited(path: Path, target: Path) -> Path:
        # the writing thread may start 4.png before the error of 3.png is reported
        if target.suffix == ".png" and int(target.stem) >= 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace_file(path, target)

    monkeypatch.setattr(Path, "replace", limited)
    with pytest.raises(Exception, match=r"3\.png cannot be written: No space left on device"):
        restore_video_to_images(source, tmp_path / "out" / "%d.png", found)
    assert {path.name for path in (tmp_path / "out").iterdir()} <= {"1.png", "2.png"}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_one_frame_without_a_face_stays_as_it_is_in_segments(
    clips: ModuleType, tmp_path: Path, models: RestorationModels, suffix: str
) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", [clips.random_frame("yuv420p", 0, (161, 121))])
    result = restore_in_segments(source, tmp_path / f"b{suffix}", models, video=LOSSLESS)
    assert (result.frame_count, result.face_count) == (1, 0)
    before, after = clips.decoded(source), clips.decoded(tmp_path / f"b{suffix}")
    assert len(after) == 1
    assert np.array_equal(clips.planes(before[0])[0], clips.planes(after[0])[0])


def test_an_old_pyav_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_av(), "__version__", "14.2.0")
    with pytest.raises(MissingPackageError, match=r'PyAV 18 or newer, but version 14.2.0 is installed.*"av>=18"'):
        load_av()
