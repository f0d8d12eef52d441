"""Define the fixtures that all tests share."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from psfr_core.faces.detection_options import DetectionOptions
from psfr_core.faces.face import Face
from psfr_core.faces.template import template_for
from psfr_core.images.box import Box
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator
from psfr_core.progress import Progress
from psfr_core.restoration.restoration_models import RestorationModels

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # of child processes; workers and threads together should not exceed the cores
    torch.set_num_threads(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-strings", action="store_true", help="update the snapshots of texts, names and signatures")


def load_file(name: str, path: Path) -> ModuleType:
    """Load the module or package at ``path`` under ``name``."""
    folder = [str(path.parent)] if path.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=folder)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules[name] = module  # dataclasses need the module there
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def load_helper(name: str) -> ModuleType:
    """Load the helper module ``name``, a path below this folder."""
    path = Path(__file__).parent / name
    return load_file(path.stem, path)


@pytest.fixture(autouse=True)
def _default_logging() -> Iterator[None]:
    """Restore the library's logging settings, which commands change."""
    log = logging.getLogger("psfr_core")
    level, propagate, handlers = log.level, log.propagate, log.handlers
    yield
    log.setLevel(level)
    log.propagate, log.handlers = propagate, handlers


@pytest.fixture(scope="session")
def load_module() -> Callable[[str, Path], ModuleType]:
    """Return ``load_file`` for tests in subfolders."""
    return load_file


@pytest.fixture(scope="session")
def golden() -> ModuleType:
    """Return tests/networks/golden.py: weights, inputs and outputs of the published networks."""
    return load_helper("networks/golden.py")


@pytest.fixture(scope="session")
def workflows() -> ModuleType:
    """Return tests/workflows.py, which reads the example workflows."""
    return load_helper("workflows.py")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start a local Hugging Face Hub (tests/hub_server.py) and redirect all downloads to it."""
    with load_helper("hub_server.py").running_hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
        yield server


@pytest.fixture(scope="session")
def comfy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Start a real ComfyUI with this pack (tests/comfy_server.py), or skip the test if COMFYUI_PATH is not set."""
    with load_helper("comfy_server.py").running_server(tmp_path_factory.mktemp("comfyui")) as server:
        yield server


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests with an argument ``example`` once per example workflow."""
    if "example" in metafunc.fixturenames:
        metafunc.parametrize("example", load_helper("workflows.py").NAMES)


@pytest.fixture(autouse=True)
def _seed_random_numbers() -> None:
    torch.manual_seed(0)


class PlantedFaces:
    """A detector that returns the same faces for every image."""

    def __init__(self, faces: Sequence[Face]) -> None:
        self.faces = list(faces)

    def detect(
        self, images: Tensor, options: DetectionOptions | None = None, *, progress: Progress | None = None
    ) -> list[list[Face]]:
        return [list(self.faces) for _ in images]


def face_at(left: float, top: float, side: float, score: float = 1.0) -> Face:
    """Return a face whose aligned crop is the square with this top left corner and side."""
    landmarks = (template_for(512) + 0.5) * side / 512 - 0.5 + torch.tensor([left, top])
    box = Box(left + 0.25 * side, top + 0.25 * side, left + 0.75 * side, top + 0.85 * side)
    return Face(box, landmarks.float(), score)


@pytest.fixture
def models() -> RestorationModels:
    """Return tiny random networks for faces of 64 px and a detector that finds no faces."""
    generator = PsfrGenerator(GeneratorConfig((8, 8, 6), 6)).eval()
    parse_net = ParseNet(ParseNetConfig((4, 6), 1)).eval()
    return RestorationModels(generator, parse_net, PlantedFaces([]))


@pytest.fixture
def two_faces() -> list[Face]:
    return [face_at(8, 10, 64, 0.9), face_at(95.5, 30.25, 50, 0.8)]
