"""Test that files restored in overlapping steps equal files restored one after the other."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from psfr_core.bulk import restore_files as module
from psfr_core.bulk.restore_files import FileJob, FileResult, restore_files, save_result
from psfr_core.errors import ImageFileError, PsfrError
from psfr_core.faces.face import Face
from psfr_core.images.io import ImageFile, read_image, write_image
from psfr_core.restoration.color_match import ColorMatch
from psfr_core.restoration.restoration_models import RestorationModels
from psfr_core.restoration.restore import restore_image
from psfr_core.restoration.restore_options import RestoreOptions

OPTIONS = RestoreOptions(color_match=ColorMatch.NONE, batch_size=1)


class FacesByWidth:
    """A detector whose number of faces depends on the image width: one for 160 pixels, two for 161, none for 162."""

    def __init__(self, faces: Sequence[Face]) -> None:
        self._faces = faces

    def detect(self, images: torch.Tensor, *_: object, **__: object) -> list[list[Face]]:
        count = {160: 1, 161: 2, 162: 0}[images.shape[-1]]
        return [[*self._faces[:count]] for _ in images]


@pytest.fixture
def counting_models(models: RestorationModels, two_faces: list[Face]) -> RestorationModels:
    return replace(models, detector=FacesByWidth(two_faces))


def jobs_in(folder: Path, count: int) -> list[FileJob]:
    generator = torch.Generator().manual_seed(3)
    jobs: list[FileJob] = []
    for number in range(count):
        source = folder / f"{number:03}.png"
        write_image(source, ImageFile(torch.rand(3, 120, 160 + number % 3, generator=generator)))
        jobs.append(FileJob(source, folder / "out" / "sub" / source.name))
    return jobs


@pytest.mark.parametrize("pixels", [1.0, 2.0**25])
def test_files_equal_those_of_single_images(
    tmp_path: Path, counting_models: RestorationModels, monkeypatch: pytest.MonkeyPatch, pixels: float
) -> None:
    monkeypatch.setattr(module, "PIXELS_PER_STEP", pixels)
    jobs = jobs_in(tmp_path, 7)
    results = list(restore_files(jobs, counting_models, OPTIONS))
    assert [(result.job, result.faces, result.error) for result in results] == [
        (job, faces, None) for job, faces in zip(jobs, [1, 2, 0, 1, 2, 0, 1], strict=True)
    ]
    assert all(result.seconds > 0 for result in results)
    for job in jobs:
        alone = restore_image(read_image(job.source).pixels, counting_models, OPTIONS).image
        write_image(tmp_path / "alone.png", ImageFile(alone))
        assert job.target.read_bytes() == (tmp_path / "alone.png").read_bytes()


def test_faces_of_several_images_share_batches(
    tmp_path: Path, counting_models: RestorationModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    generator = counting_models.generator
    monkeypatch.setattr(generator, "forward", lambda lq, _: (batches.append(len(lq)), lq)[1])
    results = list(restore_files(jobs_in(tmp_path, 9), counting_models, replace(OPTIONS, batch_size=4)))
    assert [result.faces for result in results] == [1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert batches == [4, 4, 1]


def test_one_bad_file_does_not_stop_the_others(
    tmp_path: Path, counting_models: RestorationModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = jobs_in(tmp_path, 6)
    jobs[1].source.write_bytes(b"no image")
    forward = counting_models.generator.forward

    # When the files are restored separately, the second file with faces fails.
    is_broken = iter([False, True, False])

    def failing(lq: torch.Tensor, one_hot: torch.Tensor) -> torch.Tensor:
        if len(lq) > 2 or next(is_broken):  # the whole group has more than two faces
            raise RuntimeError("broken kernel")
        return forward(lq, one_hot)

    monkeypatch.setattr(counting_models.generator, "forward", failing)

    def save(job: FileJob, before: ImageFile, result: Any) -> None:
        if job is jobs[5]:
            raise OSError(28, "disk full")
        save_result(job, before, result)

    results = list(restore_files(jobs, counting_models, replace(OPTIONS, batch_size=8), save=save))
    assert [result.faces for result in results] == [1, None, 0, None, 2, None]
    errors = [result.error for result in results]
    assert isinstance(errors[1], ImageFileError)
    assert "broken kernel" in str(errors[3])
    assert "disk full" in str(errors[5])
    assert sorted(path.name for path in (tmp_path / "out" / "sub").iterdir()) == ["000.png", "002.png", "004.png"]


def test_reading_and_writing_overlap_the_restoration(
    tmp_path: Path, counting_models: RestorationModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Test that the last file is read while the first is restored, and that the first is saved while the second is restored."""
    last_is_read, second_is_restored = threading.Event(), threading.Event()
    waited: list[bool] = []
    prepare = module.prepare_image

    def read(path: Path, **_: object) -> ImageFile:
        if path.stem == "3":
            last_is_read.set()
        return ImageFile(torch.rand(3, 120, 160))

    def prepare_and_wait(*args: Any) -> Any:
        if waited:
            second_is_restored.set()
        else:
            waited.append(last_is_read.wait(60))
        return prepare(*args)

    def save(job: FileJob, *_: object) -> None:
        if job.source.stem == "0":
            waited.append(second_is_restored.wait(60))

    monkeypatch.setattr(module, "read_image", read)
    monkeypatch.setattr(module, "prepare_image", prepare_and_wait)
    jobs = [FileJob(Path(f"{n}.png"), tmp_path / f"{n}.png") for n in range(4)]
    results = list(restore_files(jobs, counting_models, OPTIONS, save=save))
    assert waited == [True, True]
    assert [result.error for result in results] == [None] * 4


def test_an_early_stop_finishes_started_files_and_ends_the_threads(
    tmp_path: Path, counting_models: RestorationModels
) -> None:
    results = restore_files(jobs_in(tmp_path, 30), counting_models, OPTIONS)
    next(results)
    results.close()
    written = list((tmp_path / "out" / "sub").iterdir())
    assert 1 <= len(written) < 30
    assert all(path.suffix == ".png" for path in written)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("psfr")]


def test_wrong_options_raise_before_anything_is_written(tmp_path: Path, models: RestorationModels) -> None:
    with pytest.raises(PsfrError, match="batch_size"):
        list(restore_files(jobs_in(tmp_path, 1), models, replace(OPTIONS, batch_size=0)))


def test_each_written_file_is_reported_even_if_the_run_stops(
    tmp_path: Path, counting_models: RestorationModels
) -> None:
    reported: list[FileResult] = []
    results = restore_files(jobs_in(tmp_path, 30), counting_models, OPTIONS, on_result=reported.append)
    for _ in range(3):
        next(results)
    results.close()
    written = {*(tmp_path / "out" / "sub").iterdir()}
    assert 3 <= len(written) < 30
    assert {result.job.target for result in reported} == written
