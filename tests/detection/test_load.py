"""Which detector is loaded."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from psfr_core.detection.compact import CompactDetector
from psfr_core.detection.load import default_detector, load_detector
from psfr_core.detection.options import DetectionOptions
from psfr_core.detection.retinaface import RetinaFaceDetector
from psfr_core.errors import ModelNotFoundError
from psfr_core.networks.face_net import FaceNet, FaceNetConfig
from psfr_core.weights.manifest import model_file
from psfr_core.weights.retinaface import build_retinaface


@pytest.fixture(autouse=True)
def empty_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path_factory.mktemp("home"))


def save_mobile(folder: Path) -> Path:
    path = folder / model_file("retinaface-mobile0.25").file_name
    torch.save(build_retinaface("mobile0.25").state_dict(), path)
    return path


def test_file_of_the_bundled_network_becomes_a_compact_detector(tmp_path: Path) -> None:
    network = FaceNet(FaceNetConfig((4, 4, 6, 8, 8), 6))
    torch.save(network.state_dict(), tmp_path / "mine.pth")
    options = DetectionOptions(min_score=0.3)
    detector = load_detector(tmp_path / "mine.pth", options=options, device="cpu")
    assert isinstance(detector, CompactDetector)
    assert detector.options is options
    assert torch.equal(detector.network.state_dict()["stem.0.weight"], network.state_dict()["stem.0.weight"])
    assert detector.detect(torch.zeros(2, 3, 20, 30)) == [[], []]


def test_retinaface_is_preferred_when_its_file_is_there(tmp_path: Path) -> None:
    assert default_detector([tmp_path]) == "facenet"
    save_mobile(tmp_path)
    assert default_detector([tmp_path]) == "retinaface-mobile0.25"
    assert isinstance(load_detector(folders=[tmp_path]), RetinaFaceDetector)
    (tmp_path / model_file("retinaface-resnet50").file_name).write_bytes(b"")
    assert default_detector([tmp_path]) == "retinaface-resnet50"


def test_without_facexlib_the_bundled_detector_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_mobile(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # pyright: ignore[reportUnknownLambdaType]
    assert default_detector([tmp_path]) == "facenet"


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ModelNotFoundError, match="no-such-detector"):
        load_detector("no-such-detector")
