"""Test the list of known models."""

from __future__ import annotations

from pathlib import Path

import pytest

from psfr_core.errors import ModelNotFoundError
from psfr_core.models import manifest
from psfr_core.models.manifest import MODEL_FILES, ModelFile, ModelKind, is_model_name, model_file, model_names
from psfr_core.models.model_check import is_published_file

ASSETS = Path(manifest.__file__).parents[1] / "assets"


def test_names_and_files_are_unique() -> None:
    assert len({entry.name for entry in MODEL_FILES}) == len(MODEL_FILES) == 9
    assert len({entry.file_name for entry in MODEL_FILES}) == len(MODEL_FILES)


def test_names_are_listed_by_kind() -> None:
    assert model_names(ModelKind.GENERATOR) == ["psfrgan-256", "psfrgan-512-small", "psfrgan-512"]
    assert model_names(ModelKind.PARSER) == ["parsenet-256", "parse-512", "parsenet-512"]
    assert model_names(ModelKind("detector")) == ["compact-face", "retinaface-resnet50", "retinaface-mobile0.25"]


@pytest.mark.parametrize("entry", MODEL_FILES, ids=lambda entry: entry.name)
def test_entries_are_complete(entry: ModelFile) -> None:
    assert entry.licence
    assert entry.description
    assert entry.is_bundled == (entry.name in ("psfrgan-256", "psfrgan-512-small", "parsenet-256", "compact-face"))
    assert entry.sha256 is None or len(bytes.fromhex(entry.sha256)) == 32
    assert (entry.repo_id is None) == (entry.repo_path is None)
    assert entry.is_bundled or entry.addresses
    if entry.repo_id:
        assert entry.sha256
        assert entry.size_bytes
        assert str(entry.repo_path).split("/")[-1] == entry.file_name


@pytest.mark.parametrize("entry", [entry for entry in MODEL_FILES if entry.is_bundled], ids=lambda entry: entry.name)
def test_bundled_files_have_their_published_hash(entry: ModelFile) -> None:
    path = ASSETS / entry.file_name
    if not path.is_file():
        pytest.skip(f"{entry.file_name} is not in this checkout")
    assert is_published_file(entry, path), "after a training, write the new size and hash into the manifest"


def test_addresses_of_a_file_on_the_hub() -> None:
    assert model_file("retinaface-mobile0.25").addresses == (
        "https://huggingface.co/fofr/comfyui/resolve/25a08b21d84d25d8502c94bae0b6836e843bcef6"
        "/facedetection/detection_mobilenet0.25_Final.pth",
        "https://github.com/xinntao/facexlib/releases/download/v0.1.0/detection_mobilenet0.25_Final.pth",
    )


def test_addresses_under_another_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/hub/")
    address = model_file("parsenet-512").addresses[0]
    assert (
        address
        == "https://mirror.example/hub/salmonrk/facedetection/resolve/cd65f50be0c27054b0bd33a8cdbc82d3fd7e0ed9/parsing_parsenet.pth"
    )


def test_addresses_of_the_published_generator() -> None:
    assert model_file("psfrgan-512").addresses == (
        "https://github.com/chaofengc/PSFRGAN/releases/download/v0.1.0/psfrgan_epoch15_net_G.pth",
        "https://github.com/chaofengc/PSFRGAN/releases/tag/v0.1.0",
    )


def test_a_converted_name_keeps_inner_dots() -> None:
    assert model_file("retinaface-mobile0.25").converted_name == "detection_mobilenet0.25_Final.safetensors"


def test_the_error_for_an_unknown_name_lists_the_known_names() -> None:
    assert not is_model_name("psfrgan")
    assert not is_model_name(Path("psfrgan-256"))
    with pytest.raises(
        ModelNotFoundError,
        match=r"no model called 'psfrgan'.*psfrgan-256, psfrgan-512-small, parsenet-256, compact-face",
    ):
        model_file("psfrgan")
