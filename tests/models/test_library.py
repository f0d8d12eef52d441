"""Test the search for the files of models by name and path."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import pytest

from psfr_core.errors import CheckpointError, ModelNotFoundError, OptionError
from psfr_core.files import sha256_of
from psfr_core.models import model_check
from psfr_core.models.library import ModelLibrary, default_model_folder
from psfr_core.models.manifest import ModelFile, ModelKind, model_file

RESNET = "detection_Resnet50_Final.pth"


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    return path


def test_no_home_folder_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user without a home folder
    with pytest.raises(ModelNotFoundError, match="was not found in"):
        ModelLibrary().locate("retinaface-resnet50")
    with pytest.raises(OptionError, match="The home folder in ~/.cache/psfrgan is unknown"):
        default_model_folder()


def test_another_hash_gives_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []
    monkeypatch.setattr(model_check, "sha256_of", lambda path: hashed.append(path) or sha256_of(path))
    path = put(tmp_path / RESNET)
    with caplog.at_level(logging.WARNING):
        assert ModelLibrary([tmp_path]).locate("retinaface-resnet50", ModelKind.DETECTOR) == path
    digest = hashlib.sha256(b"weights").hexdigest()
    assert f"its SHA-256 is {digest}, expected 6d1de9c2944f" in caplog.text
    assert hashed == [path]


def test_the_published_hash_gives_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture, publish_as) -> None:
    entry = publish_as("retinaface-resnet50", b"weights")
    put(tmp_path / RESNET)
    with caplog.at_level(logging.WARNING):
        ModelLibrary([tmp_path]).locate(entry.name)
    assert caplog.text == ""


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    put(tmp_path / RESNET)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CheckpointError, match=rf"{RESNET} cannot be read \(Permission denied\)"):
        ModelLibrary([tmp_path]).locate("retinaface-resnet50", ModelKind.DETECTOR)


def test_an_existing_path_is_used_unchanged(tmp_path: Path) -> None:
    path = put(tmp_path / "mine.pth")
    assert ModelLibrary().locate(str(path), ModelKind.GENERATOR) == path


def test_a_model_of_another_kind_is_refused() -> None:
    with pytest.raises(
        OptionError,
        match=r"parsenet-512 is a parser\. Choose one of psfrgan-256, psfrgan-512-small, psfrgan-512, or the",
    ):
        ModelLibrary().locate("parsenet-512", ModelKind.GENERATOR)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("psfrgan", "There is no file psfrgan, and no model of that name. Choose one of psfrgan-256"),
        (Path("nowhere/x.pth"), "There is no file nowhere.x.pth"),
        (".", "is a folder, not a weight file"),
        ("psfrgan-256", "psfrgan_256.safetensors was not found in .*assets.*, so install the package again"),
        (
            "psfrgan-512",
            "psfrgan-512 is not on this machine.*given.*Download it from .*releases/tag.*into one of these folders",
        ),
    ],
)
def test_missing_models_are_explained(source: str | Path, words: str) -> None:
    with pytest.raises(ModelNotFoundError, match=words):
        ModelLibrary(["given"]).locate(source, ModelKind.GENERATOR)


def test_the_error_of_a_missing_model_has_its_downloadable_name_and_no_command() -> None:
    with pytest.raises(ModelNotFoundError) as missing:
        ModelLibrary().locate("retinaface-resnet50")
    assert missing.value.downloadable == "retinaface-resnet50"
    assert "psfr download" not in str(missing.value)
    with pytest.raises(ModelNotFoundError) as missing:
        ModelLibrary().locate("psfrgan-256")
    assert missing.value.downloadable is None


def test_only_missing_models_are_fetched(tmp_path: Path) -> None:
    fetched: list[str] = []

    def fetch(entry: ModelFile) -> Path:
        fetched.append(entry.name)
        return tmp_path / "fetched"

    library = ModelLibrary([tmp_path], fetch)
    assert library.locate("retinaface-resnet50") == tmp_path / "fetched"
    path = put(tmp_path / RESNET)
    assert library.locate("retinaface-resnet50") == path
    with pytest.raises(ModelNotFoundError, match="ships with this package"):
        library.locate("psfrgan-256")
    assert fetched == ["retinaface-resnet50"]


def test_a_missing_folder_contains_no_models() -> None:
    assert ModelLibrary(["no/such/folder"]).find(model_file("retinaface-resnet50")) is None


def test_the_callers_folders_come_first_and_in_order(tmp_path: Path) -> None:
    entry = model_file("retinaface-resnet50")
    fallback = put(default_model_folder() / RESNET)
    assert ModelLibrary([tmp_path / "a", tmp_path / "b"]).find(entry) == fallback
    second = put(tmp_path / "b" / RESNET)
    assert ModelLibrary([tmp_path / "a", tmp_path / "b"]).find(entry) == second
    first = put(tmp_path / "a" / RESNET)
    assert ModelLibrary([str(tmp_path / "a"), tmp_path / "b"]).find(entry) == first


def test_the_models_folder_of_comfyui_is_searched_with_its_subfolders(tmp_path: Path) -> None:
    entry = model_file("retinaface-resnet50")
    path = put(tmp_path / "models" / "facedetection" / RESNET)
    assert ModelLibrary([tmp_path / "models"]).find(entry) == path
    assert ModelLibrary([tmp_path / "models"]).find(model_file("psfrgan-512")) is None
    direct = put(tmp_path / "models" / RESNET)
    assert ModelLibrary([tmp_path / "models"]).find(entry) == direct


def test_a_converted_copy_is_found(tmp_path: Path) -> None:
    path = put(tmp_path / "psfrgan_epoch15_net_G.safetensors")
    assert ModelLibrary([tmp_path]).find(model_file("psfrgan-512")) == path


def test_bundled_models_come_from_the_package(tmp_path: Path, home: Path) -> None:
    put(tmp_path / "compact_face.safetensors")
    bundled = put(home / "assets" / "compact_face.safetensors")
    assert ModelLibrary([tmp_path]).find(model_file("compact-face")) == bundled


def test_an_entry_is_located_like_its_name(tmp_path: Path) -> None:
    path = put(tmp_path / "psfrgan_epoch15_net_G.pth")
    entry = model_file("psfrgan-512")
    assert ModelLibrary([tmp_path]).locate(entry) == ModelLibrary([tmp_path]).locate(entry.name) == path
    with pytest.raises(OptionError, match="psfrgan-512 is a generator"):
        ModelLibrary([tmp_path]).locate(entry, ModelKind.PARSER)
