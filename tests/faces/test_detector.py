"""Test which detector ``load_detector`` loads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from psfr_core.errors import MissingPackageError, ModelNotFoundError
from psfr_core.faces.compact import CompactDetector
from psfr_core.faces.detection_options import DetectionOptions
from psfr_core.faces.detector import default_detector, load_detector
from psfr_core.faces.retinaface import RetinaFaceDetector
from psfr_core.models import retinaface_network as retinaface
from psfr_core.models.manifest import model_file
from psfr_core.models.retinaface_network import build_retinaface, facexlib_works
from psfr_core.networks.compact_face_net import CompactFaceNet, CompactFaceNetConfig

pytestmark = pytest.mark.facexlib


@pytest.fixture(autouse=True)
def empty_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "USERPROFILE"):  # the latter is for Windows
        monkeypatch.setenv(variable, str(tmp_path_factory.mktemp("home")))


def save_mobile(folder: Path) -> Path:
    path = folder / model_file("retinaface-mobile0.25").file_name
    torch.save(build_retinaface("mobile0.25").state_dict(), path)
    return path


def fail() -> None:
    raise MissingPackageError("libGL.so.1: cannot open")


def test_file_of_the_bundled_network_becomes_a_compact_detector(tmp_path: Path) -> None:
    network = CompactFaceNet(CompactFaceNetConfig((4, 4, 6, 8, 8), 6))
    torch.save(network.state_dict(), tmp_path / "mine.pth")
    options = DetectionOptions(min_score=0.3)
    detector = load_detector(tmp_path / "mine.pth", options=options, device="cpu")
    assert isinstance(detector, CompactDetector)
    assert detector.options is options
    assert torch.equal(detector.network.state_dict()["laterals.0.weight"], network.state_dict()["laterals.0.weight"])
    assert detector.detect(torch.zeros(2, 3, 20, 30)) == [[], []]


def test_retinaface_is_preferred_if_its_file_exists(tmp_path: Path) -> None:
    assert default_detector([tmp_path]) == "compact-face"
    save_mobile(tmp_path)
    assert default_detector([tmp_path]) == "retinaface-mobile0.25"
    assert isinstance(load_detector(folders=[tmp_path]), RetinaFaceDetector)
    resnet = tmp_path / model_file("retinaface-resnet50").file_name
    resnet.write_bytes(b"")
    assert default_detector([tmp_path]) == "retinaface-resnet50"


def test_the_default_file_is_checked_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_mobile(tmp_path)
    load_detector(folders=[tmp_path])
    assert caplog.text.count("is not the known file") == 1


def test_the_bundled_detector_replaces_a_broken_facexlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = save_mobile(tmp_path)
    facexlib_works.cache_clear()
    monkeypatch.setattr(retinaface, "_retinaface_class", fail)
    assert [default_detector([tmp_path]) for _ in range(2)] == ["compact-face", "compact-face"]
    facexlib_works.cache_clear()
    assert caplog.text.count("libGL.so.1: cannot open") == 1
    assert f"{path} is not used, because facexlib cannot be imported. compact-face is used instead." in caplog.text


def test_facexlib_is_not_needed_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psfr_core.faces.detector.facexlib_works", fail)
    assert default_detector([tmp_path]) == "compact-face"


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ModelNotFoundError, match="no-such-detector"):
        load_detector("no-such-detector")
