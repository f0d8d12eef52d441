"""psfr models, download, convert and publish."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import huggingface_hub
import pytest
import torch

from psfr_core.cli import convert, download, models, publish
from psfr_core.errors import DownloadError, OptionError
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator
from psfr_core.weights import locate
from psfr_core.weights.manifest import MODEL_FILES


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of a user who has no models."""
    folder = tmp_path / "home"
    (folder / "assets").mkdir(parents=True)
    monkeypatch.setattr(Path, "home", staticmethod(lambda: folder))
    monkeypatch.setattr(locate, "assets_folder", lambda: folder / "assets")
    return folder


@pytest.fixture
def generator_file(tmp_path: Path) -> Path:
    path = tmp_path / "g.pth"
    torch.save(PsfrGenerator(GeneratorConfig((6, 4), modulation_channels=2)).state_dict(), path)
    return path


def call(command: object, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)  # type: ignore[attr-defined]
    return command.run(parser.parse_args(arguments))  # type: ignore[attr-defined]


def test_models_prints_a_table(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "assets" / "facenet.safetensors").write_bytes(b"x" * 1_234_567)
    mine = tmp_path / "psfrgan_epoch15_net_G.pth"
    mine.write_bytes(b"x" * 200_000)
    assert call(models, "--folder", str(tmp_path)) == 0
    headings, *rows = capsys.readouterr().out.splitlines()
    assert headings.split() == ["name", "kind", "size", "where", "licence", "what"]
    cells = {row.split()[0]: row for row in rows}
    assert list(cells) == [entry.name for entry in MODEL_FILES]
    assert "detector   1.2 MB    bundled" in cells["facenet"]
    assert f"0.2 MB    {mine}" in cells["psfrgan-512"]
    assert "109.5 MB  not here" in cells["retinaface-resnet50"]
    assert "?         missing" in cells["psfrgan-256"]
    assert len({row.index(entry.licence) for entry, row in zip(MODEL_FILES, rows, strict=True)}) == 1


def test_download_prints_the_path(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def play(repo_id: str, filename: str, *, revision: str | None, local_dir: Path) -> str:
        local_dir.mkdir(parents=True)
        (local_dir / filename).write_bytes(repo_id.encode())
        return str(local_dir / filename)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", play)
    assert call(download, "psfrgan-512", "--repo-id", "me/mine", "--folder", str(tmp_path / "a")) == 0
    path = tmp_path / "a" / "psfrgan_epoch15_net_G.safetensors"
    assert capsys.readouterr().out == f"{path}\n"
    assert path.read_bytes() == b"me/mine"
    assert call(download, "parse-512", "--repo-id", "me/mine") == 0
    assert (home / ".cache/psfrgan/parse_multi_iter_90000.safetensors").is_file()


def test_download_without_a_known_copy() -> None:
    with pytest.raises(DownloadError, match="--repo-id OWNER/NAME"):
        call(download, "psfrgan-512")


def test_download_refuses_names_that_cannot_be_downloaded(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        call(download, "facenet")
    assert stop.value.code == 2
    assert "invalid choice: 'facenet'" in capsys.readouterr().err


def test_convert_prints_hash_and_path(generator_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "g.safetensors"
    assert call(convert, str(generator_file), str(target), "--licence", "CC0-1.0") == 0
    assert capsys.readouterr().out == f"{hashlib.sha256(target.read_bytes()).hexdigest()}  {target}\n"
    full_size = target.stat().st_size
    with pytest.raises(OptionError, match="--force"):
        call(convert, str(generator_file), str(target))
    assert call(convert, str(generator_file), str(target), "--half", "--force") == 0
    assert target.stat().st_size < 0.8 * full_size


def test_publish_prints_the_address(
    generator_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uploads: list[str] = []

    class PlayedApi:
        def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None: ...

        def file_exists(self, repo_id: str, filename: str) -> bool:
            return False

        def upload_file(self, *, path_or_fileobj: object, path_in_repo: str, repo_id: str) -> None:
            uploads.append(path_in_repo)

    monkeypatch.setattr(huggingface_hub, "HfApi", PlayedApi)
    call(convert, str(generator_file), str(tmp_path / "g.safetensors"))
    capsys.readouterr()
    assert call(publish, str(tmp_path / "g.safetensors"), "--repo-id", "me/mine") == 0
    assert capsys.readouterr().out == "https://huggingface.co/me/mine/blob/main/g.safetensors\n"
    assert uploads == ["g.safetensors", "README.md"]
