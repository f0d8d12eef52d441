"""From names and paths to files on this machine."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest

from psfr_core.errors import CheckpointError, ModelNotFoundError, OptionError
from psfr_core.files import sha256_of
from psfr_core.models import folders
from psfr_core.models.locate import locate_model
from psfr_core.models.manifest import ModelKind

RESNET = "detection_Resnet50_Final.pth"


def put(path: Path) -> Path:
    path.write_bytes(b"weights")
    return path


def test_another_hash_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []
    monkeypatch.setattr(folders, "sha256_of", lambda path: hashed.append(path) or sha256_of(path))
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
