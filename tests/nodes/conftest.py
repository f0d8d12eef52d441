"""Load the pack as ComfyUI does, into a stand-in for ComfyUI."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch.nn.functional as F
from torch import Tensor

ROOT = Path(__file__).parents[2]
STAND_IN = Path(__file__).parent / "stand_in"
PACK = "/custom_nodes/psfr pack"  # ComfyUI uses the path as the module name


@pytest.fixture(scope="session")
def pack(load_module: Callable[[str, Path], ModuleType]) -> Iterator[Callable[[str], ModuleType]]:
    """Return a function that imports a module of the pack, such as ``pack("nodes.runtime")`` or ``pack("psfr_core.errors")``."""
    before = dict(sys.modules)
    for name in ("folder_paths", "comfy", "comfy_api"):
        path = STAND_IN / name
        load_module(name, path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))
    for name in ("comfy_api.latest", "comfy.model_management", "comfy.model_patcher", "comfy.utils"):
        importlib.import_module(name)
    load_module(PACK, ROOT / "__init__.py")
    yield lambda name: importlib.import_module(f"{PACK}.{name}")
    for name in set(sys.modules) - set(before):
        del sys.modules[name]


@pytest.fixture
def host(
    pack: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], ModuleType]:
    """Reset the stand-in for ComfyUI to empty model folders.

    Return a function that returns one of its modules, such as ``host("comfy.utils")``.
    """
    folder_paths: Any = sys.modules["folder_paths"]
    management: Any = sys.modules["comfy.model_management"]
    monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path / "models"))
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", {})
    monkeypatch.setattr(folder_paths, "temp_dir", str(tmp_path / "temp"))
    monkeypatch.setattr(management, "loaded", [])
    monkeypatch.setattr(management, "interrupted", False)
    monkeypatch.setattr(sys.modules["comfy.utils"], "shown", [])
    pack("nodes.model_folders").register_model_folders()
    return lambda name: sys.modules[name]


@pytest.fixture
def nodes(host: object) -> dict[str, Any]:
    """Return all nodes by id, from the entry point that ComfyUI calls."""
    extension = asyncio.run(sys.modules[PACK].comfy_entrypoint())  # type: ignore[attr-defined]
    return {node.__name__: node for node in asyncio.run(extension.get_node_list())}


@pytest.fixture
def run(nodes: dict[str, Any]) -> Callable[..., Any]:
    """Return a function that runs a node, such as ``run("PSFR_AlignFaces", image=..., faces=...)``.

    Omitted inputs have their defaults.
    """

    def execute(node_id: str, **given: Any) -> Any:
        schema = nodes[node_id].define_schema()
        defaults = {socket.id: socket.default for socket in schema.inputs if not socket.optional}
        output = nodes[node_id].execute(**(defaults | given))
        assert len(output.args) == len(schema.outputs)
        return output

    return execute


@pytest.fixture
def models(run: Callable[..., Any]) -> dict[str, Any]:
    """Return the bundled models as inputs of other nodes."""
    return dict(
        zip(("generator", "parser", "detector"), run("PSFR_LoadModels", preset="bundled 256").args, strict=True)
    )


@pytest.fixture
def portrait(run: Callable[..., Any]) -> Tensor:
    """Return a small IMAGE with one face."""
    image = run("PSFR_LoadExampleImage", picture="portrait.jpg").args[0]
    return F.interpolate(image.movedim(-1, 1), size=(256, 256), mode="area").movedim(1, -1)
