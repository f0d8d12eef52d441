"""Finding models on this machine."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest

from psfr_core.errors import CheckpointError, ModelNotFoundError, OptionError
from psfr_core.files import sha256_of
from psfr_core.weights import locate
from psfr_core.weights.locate import default_model_folder, find_model_file
from psfr_core.weights.manifest import ModelKind, model_file
from psfr_core.weights.resolve import locate_model

RESNET = "detection_Resnet50_Final.pth"


def put(path: Path, content: bytes = b"weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_nothing_there() -> None:
    assert find_model_file(model_file("retinaface-resnet50"), ["no/such/folder"]) is None


def test_the_callers_folders_come_first_and_in_order(tmp_path: Path) -> None:
    entry = model_file("retinaface-resnet50")
    fallback = put(default_model_folder() / RESNET)
    assert find_model_file(entry, [tmp_path / "a", tmp_path / "b"]) == fallback
    second = put(tmp_path / "b" / RESNET)
    assert find_model_file(entry, [tmp_path / "a", tmp_path / "b"]) == second
    first = put(tmp_path / "a" / RESNET)
    assert find_model_file(entry, [str(tmp_path / "a"), tmp_path / "b"]) == first


def test_comfyui_models_may_be_named_as_a_whole(tmp_path: Path) -> None:
    entry = model_file("retinaface-resnet50")
    path = put(tmp_path / "models" / "facedetection" / RESNET)
    assert find_model_file(entry, [tmp_path / "models"]) == path
    assert find_model_file(model_file("psfrgan-512"), [tmp_path / "models"]) is None
    direct = put(tmp_path / "models" / RESNET)
    assert find_model_file(entry, [tmp_path / "models"]) == direct


def test_a_converted_copy_is_found(tmp_path: Path) -> None:
    path = put(tmp_path / "psfrgan_epoch15_net_G.safetensors")
    assert find_model_file(model_file("psfrgan-512"), [tmp_path]) == path


def test_bundled_models_come_from_the_package(tmp_path: Path, home: Path) -> None:
    put(tmp_path / "compact_face.safetensors")
    bundled = put(home / "assets" / "compact_face.safetensors")
    assert find_model_file(model_file("compact-face"), [tmp_path]) == bundled


def test_another_hash_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []
    monkeypatch.setattr(locate, "sha256_of", lambda path: hashed.append(path) or sha256_of(path))
    path = put(tmp_path / RESNET)
    with caplog.at_level(logging.WARNING):
        assert locate_model("retinaface-resnet50", ModelKind.DETECTOR, folders=[tmp_path]) == path
    digest = hashlib.sha256(b"weights").hexdigest()
    assert f"its SHA-256 is {digest}, expected 6d1de9c2944f" in caplog.text
    assert hashed == [path]


def test_the_published_hash_is_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture, publish_as) -> None:
    entry = publish_as("retinaface-resnet50", b"weights")
    put(tmp_path / RESNET)
    with caplog.at_level(logging.WARNING):
        locate_model(entry.name, ModelKind.DETECTOR, folders=[tmp_path])
    assert caplog.text == ""


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    put(tmp_path / RESNET)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CheckpointError, match=rf"{RESNET} cannot be read \(Permission denied\)"):
        locate_model("retinaface-resnet50", ModelKind.DETECTOR, folders=[tmp_path])


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = put(tmp_path / "mine.pth")
    assert locate_model(str(path), ModelKind.GENERATOR) == path


def test_a_name_of_another_kind() -> None:
    with pytest.raises(
        OptionError,
        match=r"parsenet-512 is a parser\. Choose one of psfrgan-256, psfrgan-512-small, psfrgan-512, or the",
    ):
        locate_model("parsenet-512", ModelKind.GENERATOR)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("psfrgan", "There is no file psfrgan, and no model of that name. Choose one of psfrgan-256"),
        (Path("nowhere/x.pth"), "There is no file nowhere.x.pth"),
        (".", "is a folder, not a weight file"),
        ("psfrgan-256", "psfrgan_256.safetensors was looked for in .*assets.*install the package again"),
        ("psfrgan-512", "psfrgan-512 is not on this machine.*given.*psfr download psfrgan-512.*By hand.*releases/tag"),
    ],
)
def test_what_is_missing_is_explained(source: str | Path, words: str) -> None:
    with pytest.raises(ModelNotFoundError, match=words):
        locate_model(source, ModelKind.GENERATOR, folders=["given"])
