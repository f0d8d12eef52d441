"""Test ``psfr restore`` with URLs, and the flags of ``--ray`` that are checked before Ray starts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
import torch

from psfr_core.bulk.ray_cluster import RayOptions
from psfr_core.cli.main import main
from psfr_core.errors import OptionError
from psfr_core.faces.face import Face
from psfr_core.images.io import ImageFile, read_image, write_image
from psfr_core.restoration.restoration_models import RestorationModels
from psfr_core.url_path import UrlPath

BUCKET = UrlPath("memory://bucket")


@pytest.fixture(autouse=True)
def _bucket(models: RestorationModels, two_faces: list[Face], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Replace the models by tiny networks and a detector of two faces, and write photos to a store in memory."""
    models.detector.faces[:] = two_faces  # type: ignore[attr-defined]
    monkeypatch.setattr("psfr_core.cli.model_options.load_models", lambda *_, **__: models)
    for name in ("in/a.png", "in/b.webp", "in/x/a.jpg"):
        write_image(BUCKET / name, ImageFile(torch.rand(3, 120, 160)))
    yield
    fsspec.filesystem("memory").rm("/", recursive=True)


def restore(*arguments: object) -> int:
    return main(["restore", *map(str, arguments)])


def test_results_in_a_store_equal_those_on_a_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.jsonl"
    assert restore(BUCKET / "in", "-o", BUCKET / "out", "--recursive", "--compare", "--report", report) == 0
    assert "6 faces restored in 3 images: memory://bucket/out\n" in capsys.readouterr().out
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [(line["file"], line["target"]) for line in lines] == [
        (f"memory://bucket/in/{source}", f"memory://bucket/out/{target}")
        for source, target in (("a.png", "a.png"), ("b.webp", "b.webp"), ("x/a.jpg", "x/a.png"))
    ]
    (tmp_path / "in" / "x").mkdir(parents=True)
    for name in ("a.png", "b.webp", "x/a.jpg"):
        (tmp_path / "in" / name).write_bytes((BUCKET / "in" / name).read_bytes())
    assert restore(tmp_path / "in", "-o", tmp_path / "out", "--recursive", "--compare") == 0
    written = [path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.*")]
    assert len(written) == len((BUCKET / "out").find_files()) == 6
    for path in written:
        assert (BUCKET / "out" / path).read_bytes() == (tmp_path / "out" / path).read_bytes()


def test_a_report_at_a_url_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert restore(BUCKET / "in", "-o", BUCKET / "out", "--report", BUCKET / "r.jsonl") == 2
    assert "--report memory://bucket/r.jsonl is a URL, but reports are written to a disk" in capsys.readouterr().err
    assert not (BUCKET / "out").is_dir()


def test_a_second_run_skips_what_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (BUCKET / "in", "-o", BUCKET / "in" / "out", "--recursive", "--compare", "--resume")
    assert restore(*arguments) == 0
    fsspec.filesystem("memory").rm("/bucket/in/out/x/a_compare.png")
    capsys.readouterr()
    assert restore(*arguments) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("2 faces restored in 1 image: ")
    assert "skipped: 2\n  memory://bucket/in/a.png: the result memory://bucket/in/out/a.png exists" in printed
    assert (BUCKET / "in/out/x/a_compare.png").is_file()


def test_disks_and_stores_can_be_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / "a.png", ImageFile(torch.rand(3, 120, 160)))
    assert restore(tmp_path / "a.png", BUCKET / "in" / "x", "-o", tmp_path / "out", "--format", "jpg") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a_jpg.jpg", "a_png.jpg"]
    assert restore(BUCKET / "in" / "b.webp", "-o", BUCKET / "one.png") == 0
    assert read_image(BUCKET / "one.png").pixels.shape == (3, 120, 160)
    assert restore(BUCKET / "none", "-o", tmp_path / "out") == 1
    assert "memory://bucket/none does not exist." in capsys.readouterr().err


def test_inputs_in_a_store_are_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    assert restore(BUCKET / "in" / "a.png", "-o", BUCKET / "in") == 2
    assert "memory://bucket/in/a.png is an input and must not be overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--ray-workers 2", "--ray-workers needs --ray"),
        ("--gpus-per-worker 0.25", "--gpus-per-worker needs --ray"),
        ("--ray --device cuda:1", "--device cuda:1 does not work with --ray"),
        ("--ray --ray-workers 0", "workers must be"),
        ("--ray photos", "photos is not the address of a Ray cluster"),
        ("--ray --one-video", "--one-video does not work with --ray"),
        ("--one-video", "memory://bucket/in is a URL, but videos must be on a disk"),
    ],
)
def test_flags_that_do_not_fit_are_refused(capsys: pytest.CaptureFixture[str], flags: str, words: str) -> None:
    assert restore(BUCKET / "in", "-o", BUCKET / "out", *flags.split()) == 2
    assert words in capsys.readouterr().err
    assert not (BUCKET / "out").is_dir()


def test_urls_of_videos_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert restore("s3://bucket/clip.mp4", "-o", "out.mp4") == 2
    assert "s3://bucket/clip.mp4 is a URL, but videos must be on a disk" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["auto", "local", "host:6379", "ray://host:10001"])
def test_addresses_of_clusters_are_accepted(address: str) -> None:
    assert RayOptions(address).address == address
    with pytest.raises(OptionError):
        RayOptions(f"{address}/")


def test_a_missing_ray_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert restore(BUCKET / "in", "-o", BUCKET / "out", "--ray") == 1
    assert 'Install or repair it: pip install "ray[data]"' in capsys.readouterr().err
