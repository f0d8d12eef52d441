"""Test that files restored by two workers of a local Ray equal those of one process, also if workers end."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from psfr_core.bulk.ray_cluster import RayOptions, connect
from psfr_core.bulk.restore_files import FileJob, save_result
from psfr_core.bulk.restore_with_ray import restore_with_ray
from psfr_core.cli.main import main
from psfr_core.errors import ImageFileError, OptionError, WorkerError
from psfr_core.restoration.restoration_models import load_models

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason='needs Ray: pip install "ray[data]"'),
]
EXAMPLES = Path(__file__).parents[2] / "examples" / "images"
load = partial(load_models, detector="compact-face", device="cpu", dtype=torch.float32)
FLAGS = ("--detector", "compact-face", "--device", "cpu", "--dtype", "float32")


@pytest.fixture(scope="module")
def two_workers() -> Iterator[RayOptions]:
    """Start a local Ray, which the tests share."""
    options = RayOptions(workers=2)
    with connect(options):
        yield options


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Compute in one thread as the workers do, because the number of threads changes the rounding."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder with four portraits of different sizes, one of them in a subfolder."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    portrait = Image.open(EXAMPLES / "portrait.jpg").convert("RGB")
    for number, name in enumerate(("a.jpg", "b.png", "c.webp", "sub/d.jpg")):
        portrait.resize((256 + 32 * number, 256 + 32 * number)).save(folder / name)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def report_of(path: Path) -> dict[str, Any]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(line["seconds"] >= 0 for line in lines)  # rounded
    return {line["file"]: (line["target"].split("/")[-1], line["faces"], line["error"]) for line in lines}


def test_the_command_with_ray_equals_the_plain_command(
    tmp_path: Path, photos: Path, two_workers: RayOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.png").write_bytes(b"no image")
    Image.new("RGB", (64, 64)).save(photos / "empty.png")
    arguments = ["restore", str(photos), "--recursive", "--compare", *FLAGS]
    for name, flags in (("plain", []), ("ray", ["--ray", "--ray-workers", "2"])):
        report = ["--report", str(tmp_path / f"{name}.jsonl")]
        assert main([*arguments, "-o", str(tmp_path / name), *report, *flags]) == 1
        printed = capsys.readouterr()
        assert printed.out.startswith(f"4 faces restored in 5 images: {tmp_path / name}\n")
        assert f"without a face: 1\n  {photos}/empty.png" in printed.out
        assert "broken.png has none of the readable formats" in printed.err
        assert "1 of 6 images failed" in printed.err
    assert len(contents(tmp_path / "plain")) == 10
    assert contents(tmp_path / "ray") == contents(tmp_path / "plain")
    assert report_of(tmp_path / "ray.jsonl") == report_of(tmp_path / "plain.jsonl")


def test_a_second_run_with_a_store_does_only_what_is_left(
    tmp_path: Path, photos: Path, two_workers: RayOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = [f"local://{photos}", "-o", f"local://{out}", "--ray", "--resume", "--recursive", *FLAGS]
    assert main(["restore", *arguments]) == 0
    first = contents(out)
    assert sorted(first) == ["a.png", "b.png", "c.webp", "sub/d.png"]
    (out / "c.webp").unlink()
    before = (out / "a.png").stat().st_mtime_ns
    capsys.readouterr()
    assert main(["restore", *arguments]) == 0
    printed = capsys.readouterr().out
    assert f"1 face restored in 1 image: local://{out}\n" in printed
    assert f"local://{photos}/a.jpg: the result local://{out}/a.png exists" in printed
    assert contents(out) == first
    assert (out / "a.png").stat().st_mtime_ns == before
    assert main(["restore", *arguments]) == 0  # nothing is left
    assert "0 faces restored in 0 images" in capsys.readouterr().out


class LocalError(ImageFileError):
    """An error that pickle cannot restore."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


def test_work_of_ended_workers_is_done_again_and_lasting_errors_are_reported(
    tmp_path: Path, photos: Path, two_workers: RayOptions, caplog: pytest.LogCaptureFixture
) -> None:
    """Test 16 files in groups of two: one kills its worker once, one each time, and one cannot be saved."""
    portraits = sorted(photos.rglob("*.*"))
    jobs = [FileJob(path, tmp_path / "out" / f"{copy}{path.stem}.png") for copy in range(4) for path in portraits]
    ends = tmp_path / "ends"
    ends.mkdir()

    def save(job: FileJob, *rest: Any) -> None:
        count = len([*ends.glob(f"{job.target.stem}*")])
        if job.target.stem == "1b" or (job.target.stem == "2d" and count == 0):
            (ends / f"{job.target.stem}{count}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if job.target.stem == "3a":
            raise LocalError("disk", "full")
        save_result(job, *rest)

    results = {result.job: result for result in restore_with_ray(jobs, load, ray=two_workers, save=save)}
    assert set(results) == {*jobs}
    errors = {job.target.stem: result.error for job, result in results.items() if result.error is not None}
    assert sorted(errors) == ["1b", "3a"]
    assert isinstance(errors["1b"], WorkerError)
    assert str(errors["3a"]) == "disk full"
    assert all(result.faces == 1 for result in results.values() if result.error is None)
    # the first file ended its worker once in a group and twice alone, and the second file once in a group
    assert sorted(path.name for path in ends.iterdir()) == ["1b0", "1b1", "1b2", "2d0"]
    assert sorted(contents(tmp_path / "out")) == sorted(
        job.target.name for job in jobs if job.target.stem not in errors
    )
    assert f"A worker process ended. Its work is done again: {portraits[0]}, {portraits[1]}" in caplog.text


def test_a_video_of_segments_has_the_frames_of_one_process(
    tmp_path: Path,
    photos: Path,
    two_workers: RayOptions,
    load_module: Callable[[str, Path], ModuleType],
    capsys: pytest.CaptureFixture[str],
) -> None:
    av = pytest.importorskip("av")
    clips = load_module("clips", Path(__file__).parents[1] / "video" / "clips.py")
    portrait = np.asarray(Image.open(photos / "b.png"))
    frames = [av.VideoFrame.from_ndarray(np.roll(portrait, 2 * index, 1), "rgb24") for index in range(8)]
    clip = clips.write_clip(tmp_path / "clip.mkv", [frame.reformat(format="yuv444p") for frame in frames])
    arguments = ["restore", str(clip), "--lossless", *FLAGS]
    assert main([*arguments, "-o", str(tmp_path / "plain.mkv")]) == 0
    assert main([*arguments, "-o", str(tmp_path / "ray.mkv"), "--ray", "--segment-frames", "3"]) == 0
    plain, ray = capsys.readouterr().out.splitlines()
    assert plain.replace("plain.mkv", "ray.mkv") == ray
    assert "1 face in 8 frames and 1 shot" in ray
    restored = [[clips.planes(frame) for frame in clips.decoded(tmp_path / f"{name}.mkv")] for name in ("plain", "ray")]
    for before, after in zip(*restored, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert not (tmp_path / "ray.mkv.parts").exists()
    assert any((a != b).any() for a, b in zip(clips.planes(clips.decoded(clip)[5]), restored[1][5], strict=True))


def test_errors_of_loading_have_the_words_and_the_exit_code_of_the_plain_command(
    tmp_path: Path, photos: Path, two_workers: RayOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["restore", str(photos), "-o", str(tmp_path / "out"), "--generator", "parsenet-256"]
    printed: list[str] = []
    for flags in ([], ["--ray"]):
        assert main([*arguments, *flags]) == 2
        printed += capsys.readouterr().err.splitlines()[-1:]
    assert printed[0] == printed[1]
    assert printed[0].startswith("psfr restore: parsenet-256 is a")


def test_ctrl_c_ends_with_its_code_and_leaves_no_partial_file(tmp_path: Path, photos: Path) -> None:
    for number in range(60):
        shutil.copy(photos / "a.jpg", photos / f"{number}.jpg")
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "psfr_core",
        "restore",
        str(photos),
        "-o",
        str(out),
        "--ray",
        "--ray-workers",
        "1",
        *FLAGS,
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
    while not (out.is_dir() and any(out.iterdir())):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate()
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "psfr restore: stopped."
    assert printed == ""
    names = sorted(path.name for path in out.iterdir())
    assert 1 <= len(names) < 64
    assert all(name.endswith(".png") and not name.startswith(".") for name in names)
    for name in names:
        Image.open(out / name).load()


@pytest.mark.parametrize(
    ("gpus", "words"), [(0.5, "needs a CPU core and 0.5 GPUs, but the cluster has"), (-1.0, "gpus_per_worker must be")]
)
def test_workers_that_do_not_fit_are_refused(two_workers: RayOptions, gpus: float, words: str) -> None:
    with pytest.raises(OptionError, match=words), connect(RayOptions(gpus_per_worker=gpus)):
        pass
