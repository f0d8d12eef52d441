"""Test uploads with a fake Hub API."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from psfr_core.errors import CheckpointError, ModelNotFoundError, PublishError
from psfr_core.models.metadata import WeightMetadata, write_weights
from psfr_core.models.model_card import model_card
from psfr_core.models.publish import publish_weights

METADATA = WeightMetadata("psfr_generator", {"channels": [12, 8]}, "CC-BY-NC-SA-4.0", "net_G.pth, https://example.org")


class FakeApi:
    """Imitate ``HfApi`` and record the uploads."""

    def __init__(self, card: bytes | None = None, failure: Exception | None = None) -> None:
        self.repositories: dict[str, bool] = {}
        self.files: dict[str, bytes] = {} if card is None else {"README.md": card}
        self.failure = failure

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
        assert exist_ok
        self.repositories[repo_id] = private

    def file_exists(self, repo_id: str, filename: str) -> bool:
        return filename in self.files

    def upload_file(self, *, path_or_fileobj: str | bytes, path_in_repo: str, repo_id: str) -> None:
        if self.failure:
            raise self.failure
        assert repo_id in self.repositories
        content = path_or_fileobj if isinstance(path_or_fileobj, bytes) else Path(path_or_fileobj).read_bytes()
        self.files[path_in_repo] = content


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    write_weights(path, {"w": torch.zeros(1)}, METADATA)
    return path


def test_the_file_and_a_card_are_uploaded(converted: Path) -> None:
    api = FakeApi()
    address = publish_weights(converted, "me/mine", private=True, api=api)
    assert address == "https://huggingface.co/me/mine/blob/main/mine.safetensors"
    assert api.repositories == {"me/mine": True}
    assert api.files["mine.safetensors"] == converted.read_bytes()
    card = api.files["README.md"].decode()
    assert card.startswith("---\nlicense: cc-by-nc-sa-4.0\n")
    assert hashlib.sha256(converted.read_bytes()).hexdigest() in card
    for words in ("psfr_generator", '{"channels": [12, 8]}', "https://example.org", "CVPR 2021", "load_generator"):
        assert words in card


def test_an_existing_card_is_kept(converted: Path) -> None:
    api = FakeApi(card=b"my words")
    publish_weights(converted, "me/mine", api=api)
    assert api.files["README.md"] == b"my words"
    assert api.repositories == {"me/mine": False}


def test_licenses_unknown_to_the_hub_are_named(converted: Path) -> None:
    card = model_card(converted, WeightMetadata("parse_net", {}, "MIT (derived from PSFR-GAN)", "x"))
    assert "license: other\n" in card
    assert 'license_name: "MIT (derived from PSFR-GAN)"\n---' in card
    assert "load_parse_net" in card


def test_the_card_describes_source_dtypes_and_license(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    metadata = WeightMetadata("compact_face_net", {}, "MIT", "training with psfr_core (detector, 9 steps)")
    write_weights(path, {"w": torch.zeros(1).half(), "counter": torch.zeros(1).long()}, metadata)
    card = model_card(path, metadata)
    assert "They come from: training with psfr_core (detector, 9 steps). Any spectral" in card
    assert "which are stored as F16 and I64. License: MIT." in card


@pytest.mark.parametrize("architecture", ["compact_face_net", "retinaface_resnet50"])
def test_detectors_are_loaded_as_detectors(converted: Path, architecture: str) -> None:
    assert 'psfr_core.load_detector("mine.safetensors")' in model_card(converted, WeightMetadata(architecture, {}))


def test_only_converted_files_are_published(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(1)}, tmp_path / "x.safetensors")
    api = FakeApi()
    with pytest.raises(CheckpointError, match=r"^x\.safetensors is not a converted weight file\. Convert it first\.$"):
        publish_weights(tmp_path / "x.safetensors", "me/mine", api=api)
    with pytest.raises(ModelNotFoundError, match="There is no file"):
        publish_weights(tmp_path / "missing.safetensors", "me/mine", api=api)
    assert api.repositories == {}


def test_a_failed_upload_is_explained(converted: Path) -> None:
    with pytest.raises(PublishError, match=r"could not be uploaded to me/mine: 401 Unauthorized.*hf auth login"):
        publish_weights(converted, "me/mine", api=FakeApi(failure=OSError("401 Unauthorized")))
