"""Test ``psfr restore`` with videos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from psfr_core.cli.main import main
from psfr_core.faces.face import Face
from psfr_core.images.io import ImageFile, read_image, write_image
from psfr_core.restoration.restoration_models import RestorationModels
from psfr_core.video.write_video import VideoWriter

pytest.importorskip("av")


@pytest.fixture
def clips(load_module: Callable[[str, Path], ModuleType]) -> ModuleType:
    return load_module("clips", Path(__file__).parents[1] / "video" / "clips.py")


@pytest.fixture(autouse=True)
def _tiny_models(models: RestorationModels, two_faces: list[Face], monkeypatch: pytest.MonkeyPatch) -> None:
    models.detector.faces[:] = two_faces  # type: ignore[attr-defined]
    monkeypatch.setattr("psfr_core.cli.model_options.load_models", lambda *_, **__: models)


def frames(clips: ModuleType, count: int = 3) -> list[object]:
    return [clips.random_frame("yuv420p", seed) for seed in range(count)]


def test_a_video_is_restored_with_its_options(
    clips: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = frames(clips)
    source = clips.write_clip(tmp_path / "a.mov", before, codec="libx264", options={"qp": "0"})
    target = tmp_path / "b.mkv"
    flags = ["--codec", "ffv1", "--lossless", "--min-frames", "1", "--regions", "all", "--no-guard"]
    assert main(["restore", str(source), "-o", str(target), *flags]) == 0
    assert "2 faces in 3 frames and 1 shot:" in capsys.readouterr().out
    with clips.av.open(str(target)) as container:
        assert container.streams.video[0].codec_context.name == "ffv1"
    old, new = clips.planes(before[0])[0], clips.planes(clips.decoded(target)[0])[0]
    assert np.array_equal(old[100:], new[100:])
    assert (old[30:50, 30:50] != new[30:50, 30:50]).mean() > 0.5


def test_a_bad_video_does_not_stop_the_others(
    clips: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    clips.write_clip(folder / "b.avi", frames(clips), codec="ffv1")
    (folder / "a.mp4").write_bytes(b"nothing")
    inputs = [str(folder / "a.mp4"), str(folder / "*.avi")]
    assert main(["restore", *inputs, "-o", str(tmp_path / "out")]) == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.mkv"]
    assert "a.mp4 cannot be opened as a video" in capsys.readouterr().err
    assert main(["restore", str(folder / "b.avi"), "-o", str(tmp_path / "out"), "--resume"]) == 0
    assert "skipped, because the result" in capsys.readouterr().out


@pytest.mark.slow
def test_an_interrupted_video_is_continued_by_the_same_command(
    clips: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = clips.write_clip(tmp_path / "a.mkv", frames(clips, 9))
    command = ["restore", str(source), "-o", str(tmp_path / "b.mkv"), "--lossless", "--segment-frames", "3"]
    assert main([*command, "-o", str(tmp_path / "whole.mkv")]) == 0
    write, written = VideoWriter.write, list[int]()

    def interrupted(writer: VideoWriter, frame: Any) -> None:
        written.append(len(written))
        if len(written) == 8:
            raise KeyboardInterrupt
        write(writer, frame)

    with monkeypatch.context() as patch:
        patch.setattr(VideoWriter, "write", interrupted)
        assert main([*command, "--resume"]) == 130
    assert "2 of 3 segments are finished in" in capsys.readouterr().err
    assert not (tmp_path / "b.mkv").exists()
    assert main([*command, "--resume", "--strength", "0.5"]) == 1
    assert "restore.strength was 1.0, is 0.5" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    assert "2 faces in 9 frames" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"a.mkv", "b.mkv", "whole.mkv"}
    for one, other in zip(clips.decoded(tmp_path / "b.mkv"), clips.decoded(tmp_path / "whole.mkv"), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(clips.planes(one), clips.planes(other), strict=True))


@pytest.mark.parametrize(
    ("extra", "output", "message"),
    [
        (["photo.png"], "out", "is a video, but"),
        ([], "out.avi", "videos are written as"),
        (["c.mp4"], "out.mp4", "is one file, but there are 2 videos"),
        (["--compare"], "out.mp4", "--compare, --format and --report are for images"),
        (["--lossless", "--quality", "3"], "out.mp4", "quality has no effect"),
        (["other/a.mp4"], "out", "have the same name"),
        ([], "a.mp4", "is an input and must not be overwritten"),
        (["c.mp4"], "%d.png", "is for the images of one video, without --resume"),
        (["--resume"], "%d.png", "is for the images of one video, without --resume"),
        ([], "frame.png", "is one image, but the input is a video. Write its frames to images with a placeholder"),
        ([], "%d.gif", "images are written as .png"),
        ([], "%d-%d.png", "a name with one placeholder for a number"),
    ],
)
def test_invalid_arguments_are_reported_before_processing(
    clips: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    extra: list[str],
    output: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    clips.write_clip(Path("a.mp4"), frames(clips, 1), codec="libx264")
    assert main(["restore", "a.mp4", *extra, "-o", output]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def write_images(folder: Path, sizes: list[tuple[int, int]]) -> list[torch.Tensor]:
    still = torch.rand(3, 15, 20, generator=torch.Generator().manual_seed(0)).repeat_interleave(8, 1)
    still = still.repeat_interleave(8, 2)
    images = [(still + 0.02 * torch.randn(still.shape)).clamp(0, 1)[:, :rows, :columns] for columns, rows in sizes]
    for index, image in enumerate(images):
        write_image(folder / f"{index:03}.png", ImageFile(image))
    return images


def test_images_are_restored_as_one_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(tmp_path, [(160, 120)] * 4)
    pattern = str(tmp_path / "*.png")
    assert main(["restore", pattern, "-o", str(tmp_path / "single"), "--no-guard", "--regions", "all"]) == 0
    assert (
        main(["restore", pattern, "-o", str(tmp_path / "video"), "--no-guard", "--regions", "all", "--one-video"]) == 0
    )
    assert "4 images: 2 faces in 4 frames and 1 shot:" in capsys.readouterr().out
    before, single, steady = (
        torch.stack([read_image(path).pixels for path in sorted((tmp_path / name).glob("*.png"))])
        for name in ("", "single", "video")
    )
    changed = (steady != before).any(0).any(0)
    assert 1000 < int(changed.sum()) < changed.numel() / 2
    inside = torch.zeros_like(changed)
    inside[30:50, 30:50] = True
    flicker = [float(images.diff(dim=0)[..., inside].abs().mean()) for images in (single, steady)]
    assert flicker[1] < 0.5 * flicker[0]


def test_images_of_one_video_have_one_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(tmp_path, [(160, 120), (160, 112)])
    arguments = ["restore", str(tmp_path / "*.png"), "-o", str(tmp_path / "out"), "--one-video"]
    assert main(arguments) == 1
    assert "001.png has 160 x 112 pixels, but the previous image has 160 x 120." in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))
    assert main([*arguments, "--compare"]) != 0
    assert "without --one-video" in capsys.readouterr().err


@pytest.mark.slow
def test_images_become_a_video_and_a_video_becomes_images(
    clips: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    write_images(tmp_path / "in", [(160, 120)] * 3)
    target = tmp_path / "out" / "b.mp4"
    command = ["restore", str(tmp_path / "in"), "--one-video", "-o", str(target)]
    assert main([*command, "--fps", "23.976", "--quality", "10"]) == 0
    assert "3 images: 2 faces in 3 frames and 1 shot:" in capsys.readouterr().out
    with clips.av.open(str(target)) as container:
        assert float(container.streams.video[0].average_rate) == pytest.approx(23.976, abs=1e-3)
    assert main(["restore", str(target), "-o", str(tmp_path / "frames" / "f%04d.webp")]) == 0
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == ["f0001.webp", "f0002.webp", "f0003.webp"]
    assert read_image(tmp_path / "frames" / "f0001.webp").pixels.shape == (3, 120, 160)
    assert main(["restore", str(tmp_path / "in"), "-o", str(tmp_path / "e.mp4")]) == 2
    assert "e.mp4 is the name of a video, but the inputs are images. Use --one-video" in capsys.readouterr().err
    assert not (tmp_path / "e.mp4").exists()
    assert main([*command, "--resume"]) == 2
    assert "do not apply to a video from images" in capsys.readouterr().err
    capsys.readouterr()
    for rate in ("0", "1/0", "fast", "1e9", "inf"):
        with pytest.raises(SystemExit):
            main([*command, "--fps", rate])
        assert f"argument --fps: must be a number from 0.001 to 1000, got {rate}" in capsys.readouterr().err
    assert main(["restore", target.as_uri(), "-o", (tmp_path / "c" / "c.mkv").as_uri()]) == 0
    assert main(["restore", (tmp_path / "in").as_uri(), "--one-video", "-o", (tmp_path / "d.mp4").as_uri()]) == 0
    assert (tmp_path / "c" / "c.mkv").is_file()
    assert (tmp_path / "d.mp4").is_file()
    assert main(["restore", str(tmp_path / "none"), "--one-video", "-o", str(target)]) == 1


@pytest.mark.parametrize("output", ["out.mp4", "out"])
def test_a_sequence_with_a_missing_frame_is_not_restored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    (tmp_path / "in").mkdir()
    write_images(tmp_path / "in", [(160, 120)] * 2)
    (tmp_path / "in" / "9.png").symlink_to("nowhere")
    command = ["restore", str(tmp_path / "in"), str(tmp_path / "typo.png"), "--one-video", "-o", str(tmp_path / output)]
    assert main(command) == 1
    message = capsys.readouterr().err
    assert "typo.png" in message
    assert "9.png: a broken link" in message
    assert "A video needs all its frames" in message
    assert not (tmp_path / output).exists()


@pytest.mark.parametrize("fault", ["transparency", "16 bits"])
def test_later_images_with_more_than_the_first_are_rejected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    pixels = torch.rand(4 if fault == "transparency" else 3, 64, 64)
    write_image(tmp_path / "1.png", ImageFile(pixels[:3]))
    write_image(tmp_path / "2.png", ImageFile(pixels, 8 if fault == "transparency" else 16))
    command = ["restore", str(tmp_path), "--one-video", "--lossless", "-o", str(tmp_path / "out.mkv")]
    assert main(command) == 1
    assert f"2.png has {fault}, but the first image does not" in capsys.readouterr().err
    assert not (tmp_path / "out.mkv").exists()
