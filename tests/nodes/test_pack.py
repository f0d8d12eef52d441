"""Test the imports, side effects and packaging of the pack."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAND_IN = Path(__file__).parent / "stand_in"
HOST_MODULES = {"comfy", "comfy_api", "folder_paths", "server", "execution", "app"}

# Program that imports the pack as ComfyUI does, next to modules of other packs that have the same names as ours.
PROBE = """
import importlib.util, json, sys, types
import torch, safetensors.torch
root, stand_in, folder = sys.argv[1:]
sys.path.insert(0, stand_in)
import comfy_api.latest, comfy.utils, comfy.model_management, comfy.model_patcher, folder_paths
others = {name: types.ModuleType(name) for name in ("nodes", "psfr_core", "utils", "facelib", "basicsr")}
sys.modules.update(others)
path, modules = list(sys.path), dict(sys.modules)
touched = []
def watch(event, args):
    if event == "open" and isinstance(args[0], str) and not args[0].endswith((".py", ".pyc")):
        touched.append(args[0])
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        touched.append(event)
sys.addaudithook(watch)
spec = importlib.util.spec_from_file_location(folder, folder + "/__init__.py", submodule_search_locations=[folder])
module = importlib.util.module_from_spec(spec)
sys.modules[folder] = module
spec.loader.exec_module(module)
print(json.dumps({
    "touched": touched,
    "path_changed": path != sys.path,
    "replaced": [name for name, old in modules.items() if sys.modules.get(name) is not old],
    "new": sorted({name.split(".")[0] for name in sys.modules if name not in modules and not name.startswith(folder)}),
    "folders": folder_paths.folder_names_and_paths,
    "has_entrypoint": callable(module.comfy_entrypoint),
    "web": module.WEB_DIRECTORY,
}))
"""


def test_importing_the_pack_has_no_side_effects(tmp_path: Path) -> None:
    folder = tmp_path / "custom nodes" / "psfr gan"
    folder.parent.mkdir()
    folder.symlink_to(ROOT)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", PROBE, str(ROOT), str(STAND_IN), str(folder)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    found = json.loads(done.stdout)
    assert found["has_entrypoint"]
    assert found["touched"] == []
    assert not found["path_changed"]
    assert found["replaced"] == []
    assert found["folders"] == {}  # folders are registered later, when ComfyUI requests the nodes
    heavy = {"facexlib", "torchvision", "cv2", "huggingface_hub", "torchmetrics", "numba", "scipy"}
    assert not heavy & set(found["new"])
    assert (ROOT / found["web"] / "docs").is_dir()


@pytest.mark.parametrize("path", sorted((ROOT / "nodes").glob("*.py")), ids=lambda path: path.name)
def test_nodes_import_the_library_relatively_and_no_other_packs(path: Path) -> None:
    allowed = HOST_MODULES | set(sys.stdlib_module_names) | {"torch"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert {name.name.split(".")[0] for name in node.names} <= allowed
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert str(node.module).split(".")[0] in allowed
        if isinstance(node, ast.ImportFrom) and node.level == 2:
            assert str(node.module).startswith("psfr_core.")


def test_node_files_and_methods_are_short() -> None:
    for path in (ROOT / "nodes").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, path
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name == "execute":
                assert len(node.body) <= 20, f"{path}: {node.lineno}"


def test_the_requirements_equal_the_dependencies_of_the_package() -> None:
    tomllib = importlib.import_module(
        "tomllib"
    )  # new in Python 3.11; the tests need this version, but the pack does not
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").split()
    assert lines == project["dependencies"]
    assert project["version"] in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_registry_archive_contains_the_needed_files() -> None:
    ignored = (ROOT / ".comfyignore").read_text(encoding="utf-8").split()
    for needed in ("nodes/", "psfr_core/", "web/", "examples/", "locales/", "__init__.py", "requirements.txt"):
        assert needed not in ignored
    assert {"tests/", ".ci/", "Makefile"} <= set(ignored)


def test_the_registry_archive_imports_no_excluded_file() -> None:
    """Test that the archive does not need excluded files.

    Code that starts processes or uploads files is excluded, because the registry's scanner reports it as malware.
    """
    ignored = tuple((ROOT / ".comfyignore").read_text(encoding="utf-8").split())
    for path in (path for folder in ("nodes", "psfr_core") for path in (ROOT / folder).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(ignored):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert "subprocess" not in {
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        for node in (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level):
            base = path.parents[node.level - 1].relative_to(ROOT).as_posix()
            module = "/".join([base, *(node.module or "").split(".")]).rstrip("/")
            for imported in (f"{module}.py", *(f"{module}/{alias.name}.py" for alias in node.names), f"{module}/"):
                assert not imported.startswith(ignored), f"{name} imports {imported}"
