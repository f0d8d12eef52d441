"""Define tiny random networks and a home folder without models."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from psfr_core.models import library, manifest
from psfr_core.models.manifest import ModelFile, model_file
from psfr_core.networks.compact_face_net import CompactFaceNet, CompactFaceNetConfig
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator
from psfr_core.networks.spectral_norm import add_spectral_norm

PublishAs = Callable[..., ModelFile]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a home folder without models, which every test in this folder uses."""
    folder = tmp_path / "home"
    (folder / "assets").mkdir(parents=True)
    for variable in ("HOME", "USERPROFILE"):  # the latter is for Windows
        monkeypatch.setenv(variable, str(folder))
    monkeypatch.setattr(library, "assets_folder", lambda: folder / "assets")
    return folder


@pytest.fixture
def publish_as(monkeypatch: pytest.MonkeyPatch) -> PublishAs:
    """Return a function that makes given bytes the published file of a model, and returns the new entry of the manifest."""

    def change(name: str, content: bytes, **changes: object) -> ModelFile:
        digest = hashlib.sha256(content).hexdigest()
        entry = replace(model_file(name), sha256=digest, size_bytes=len(content), **changes)
        entries = tuple(entry if known.name == name else known for known in manifest.MODEL_FILES)
        monkeypatch.setattr(manifest, "MODEL_FILES", entries)
        return entry

    return change


@pytest.fixture
def generator() -> PsfrGenerator:
    """Return a 64 px generator with random weights."""
    torch.manual_seed(1)
    return PsfrGenerator(GeneratorConfig((12, 8, 4), modulation_channels=6)).eval()


@pytest.fixture
def parse_net() -> ParseNet:
    """Return a 64 px parsing network with random weights and statistics."""
    torch.manual_seed(2)
    network = ParseNet(ParseNetConfig((5, 9), residual_blocks=2))
    _randomize_statistics(network)
    return network.eval()


@pytest.fixture
def compact_face_net() -> CompactFaceNet:
    """Return a small detector with random weights and statistics."""
    torch.manual_seed(3)
    network = CompactFaceNet(CompactFaceNetConfig((4, 6, 8, 10, 12), merged_channels=7))
    _randomize_statistics(network)
    return network.eval()


@pytest.fixture
def images() -> Tensor:
    """Return a batch of one random 64 px image."""
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(5))


@pytest.fixture
def generate(images: Tensor) -> Callable[[nn.Module], Tensor]:
    """Return a function that runs a 64 px generator on a fixed input."""
    labels = torch.randint(0, 19, (1, 64, 64), generator=torch.Generator().manual_seed(4))
    one_hot = nn.functional.one_hot(labels, 19).permute(0, 3, 1, 2).float()

    def run(network: nn.Module) -> Tensor:
        with torch.no_grad():
            return network(images * 2 - 1, one_hot)

    return run


@pytest.fixture
def normalized_generator(generator: PsfrGenerator, generate: Callable[[nn.Module], Tensor]) -> PsfrGenerator:
    """Return a generator with the spectral norm of the published file, after five power iterations."""
    normalized = add_spectral_norm(generator).train()
    for _ in range(5):
        generate(normalized)
    return normalized.eval()


def _randomize_statistics(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features)
            module.running_var = torch.rand(module.num_features) + 0.5
