"""Finding known models on this machine."""

from __future__ import annotations

from pathlib import Path

from psfr_core.models.folders import default_model_folder, find_model_file
from psfr_core.models.manifest import model_file

RESNET = "detection_Resnet50_Final.pth"


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
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
