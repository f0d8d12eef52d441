"""Test psfr models, download, convert, blend and publish."""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file

from psfr_core.cli import blend, convert, download, models, publish
from psfr_core.cli.main import main
from psfr_core.errors import CheckpointError, OptionError
from psfr_core.models import library
from psfr_core.models.manifest import MODEL_FILES, model_file
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a new home folder without models, and return it."""
    folder = tmp_path / "home"
    (folder / "assets").mkdir(parents=True)
    for variable in ("HOME", "USERPROFILE"):  # the latter is for Windows
        monkeypatch.setenv(variable, str(folder))
    for module in (library, models):
        monkeypatch.setattr(module, "assets_folder", lambda: folder / "assets")
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


def test_models_prints_facts_and_locations(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundled = home / "assets" / "compact_face.safetensors"
    bundled.write_bytes(b"x" * 1_234)
    user_file = tmp_path / "parsenet_256.safetensors"  # a bundled model that exists only in the user's folder
    user_file.write_bytes(b"x" * 20)
    mine = tmp_path / "facerestore_models" / "psfrgan_epoch15_net_G.pth"
    mine.parent.mkdir()
    mine.write_bytes(b"x" * 2_000)
    assert call(models, "--folder", str(tmp_path)) == 0
    blocks = {block.split()[0]: block.splitlines() for block in capsys.readouterr().out.split("\n\n")}
    assert list(blocks) == [entry.name for entry in MODEL_FILES]
    assert blocks["retinaface-resnet50"] == [
        "retinaface-resnet50",
        "  model    detector: RetinaFace with ResNet-50 (facexlib): the most accurate detector",
        "  file     detection_Resnet50_Final.pth",
        "  size     109,497,761 bytes",
        "  sha256   6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
        "  sources  https://huggingface.co/salmonrk/facedetection/resolve/cd65f50be0c27054b0bd33a8cdbc82d3fd7e0ed9/detection_Resnet50_Final.pth",
        "           https://github.com/xinntao/facexlib/releases/download/v0.1.0/detection_Resnet50_Final.pth",
        "  license  MIT",
        "  found    no",
    ]
    assert blocks["compact-face"][-1] == f"  found    bundled, {bundled} (1,234 bytes)"
    assert blocks["parsenet-256"][-1] == f"  found    {user_file} (20 bytes)"
    assert blocks["psfrgan-512"][-1] == f"  found    {mine} (2,000 bytes)"


def test_download_prints_the_path(
    tmp_path: Path, home: Path, hub: Any, generator_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.put("me/mine", "psfrgan_epoch15_net_G.safetensors", generator_file.read_bytes())
    assert call(download, "psfrgan-512", "--repo-id", "me/mine", "--folder", str(tmp_path / "a")) == 0
    path = tmp_path / "a" / "psfrgan_epoch15_net_G.safetensors"
    assert capsys.readouterr().out == f"{path}\n"
    assert path.read_bytes() == generator_file.read_bytes()
    assert call(download, "psfrgan-512", "--repo-id", "me/mine") == 0
    assert (home / ".cache/psfrgan/psfrgan_epoch15_net_G.safetensors").is_file()


def test_download_uses_the_release_if_the_hub_has_no_copy(
    tmp_path: Path, hub: Any, generator_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.files["/release/psfrgan_epoch15_net_G.pth"] = generator_file.read_bytes()
    entry = replace(model_file("psfrgan-512"), url=f"{hub.address}/release/psfrgan_epoch15_net_G.pth")
    monkeypatch.setattr(download, "model_file", lambda _: entry)
    assert call(download, "psfrgan-512", "--folder", str(tmp_path / "a")) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'a' / 'psfrgan_epoch15_net_G.safetensors'}\n"


def test_download_refuses_names_that_cannot_be_downloaded(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        call(download, "compact-face")
    assert stop.value.code == 2
    assert "invalid choice: 'compact-face'" in capsys.readouterr().err


def test_convert_prints_hash_and_path(generator_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "g.safetensors"
    assert call(convert, str(generator_file), str(target), "--license", "CC0-1.0") == 0
    assert capsys.readouterr().out == f"{hashlib.sha256(target.read_bytes()).hexdigest()}  {target}\n"
    full_size = target.stat().st_size
    with pytest.raises(OptionError, match="--force"):
        call(convert, str(generator_file), str(target))
    assert call(convert, str(generator_file), str(target), "--half", "--force") == 0
    assert target.stat().st_size < 0.8 * full_size


def test_converted_and_blended_weights_do_not_replace_their_sources(tmp_path: Path) -> None:
    one, link = tmp_path / "g.safetensors", tmp_path / "link.safetensors"
    save_file(PsfrGenerator(GeneratorConfig((6, 4), modulation_channels=2)).state_dict(), one)
    link.symlink_to(one)
    before = one.read_bytes()
    for command, arguments in ((convert, [str(one), str(link)]), (blend, [str(link), str(one), str(one)])):
        with pytest.raises(OptionError, match="is an input and must not be overwritten"):
            call(command, *arguments, "--force")
    assert one.read_bytes() == before


def test_a_folder_of_models_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--folder .*none is not a folder"):
        call(models, "--folder", str(tmp_path / "none"))
    with pytest.raises(OptionError, match=r"The home folder in ~no\.such\.user is unknown"):
        call(models, "--folder", "~no.such.user")


def test_blend_prints_hash_and_path(generator_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target, other = tmp_path / "g.safetensors", tmp_path / "other.pth"
    torch.save(PsfrGenerator(GeneratorConfig((6, 4), modulation_channels=2)).state_dict(), other)
    arguments = [str(generator_file), str(other), str(target)]
    assert call(blend, *arguments, "--amount", "0.3", "--half") == 0
    assert capsys.readouterr().out == f"{hashlib.sha256(target.read_bytes()).hexdigest()}  {target}\n"
    one, two = torch.load(generator_file), torch.load(other)
    for key, value in load_file(target).items():
        torch.testing.assert_close(value, (0.7 * one[key] + 0.3 * two[key]).half())
    with pytest.raises(OptionError, match="--force"):
        call(blend, *arguments)
    assert call(blend, *arguments, "--force") == 0
    for key, value in load_file(target).items():
        torch.testing.assert_close(value, (one[key] + two[key]) / 2)


def test_publish_prints_the_address(
    generator_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uploads: list[str] = []

    class FakeApi:
        def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None: ...

        def file_exists(self, repo_id: str, filename: str) -> bool:
            return False

        def upload_file(self, *, path_or_fileobj: object, path_in_repo: str, repo_id: str) -> None:
            uploads.append(path_in_repo)

    monkeypatch.setattr(huggingface_hub, "HfApi", FakeApi)
    call(convert, str(generator_file), str(tmp_path / "g.safetensors"))
    capsys.readouterr()
    assert call(publish, str(tmp_path / "g.safetensors"), "--repo-id", "me/mine") == 0
    assert capsys.readouterr().out == "https://huggingface.co/me/mine/blob/main/g.safetensors\n"
    assert uploads == ["g.safetensors", "README.md"]


def test_the_error_for_an_unconverted_file_names_the_convert_command(generator_file: Path) -> None:
    words = rf"^{generator_file.name} is not a converted weight file\. Convert it first\. Run: psfr convert .* OUT\.safetensors$"
    with pytest.raises(CheckpointError, match=words):
        call(publish, str(generator_file), "--repo-id", "me/mine")


def test_the_error_for_a_missing_model_names_the_download_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["convert", "retinaface-resnet50", str(tmp_path / "x.safetensors")]
    assert main(arguments) == 1
    assert capsys.readouterr().err.endswith("one of these folders. Or run: psfr download retinaface-resnet50\n")
