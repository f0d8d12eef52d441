"""Test that importing the library is fast and has no side effects."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import psfr_core

ROOT = Path(__file__).parents[1]
PROBE = """
import json, socket, sys
import torch, safetensors.torch
before = set(sys.modules)
opened = []
def watch(event, args):
    if event == "open" and isinstance(args[0], str) and not args[0].endswith((".py", ".pyc")):
        opened.append(args[0])
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        opened.append(event)
sys.addaudithook(watch)
import psfr_core
for name in psfr_core.__all__:
    getattr(psfr_core, name)
print(json.dumps({"modules": sorted(sys.modules), "opened": opened, "cuda": torch.cuda.is_initialized()}))
"""


def probe() -> dict[str, list[str]]:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error", "-c", PROBE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_import_loads_no_heavy_package_and_opens_nothing() -> None:
    found = probe()
    packages = {name.split(".")[0] for name in found["modules"]}
    assert not packages & {
        "facexlib",
        "torchvision",
        "spandrel",
        "cv2",
        "torchmetrics",
        "numba",
        "matplotlib",
        "accelerate",
        "tensorboard",
        "fsspec",
        "ray",
    }
    assert not [name for name in found["modules"] if name.startswith(("psfr_core.lab.training", "psfr_core.cli"))]
    assert found["opened"] == []
    assert not found["cuda"]


def test_importing_the_package_does_not_import_pytorch() -> None:
    code = "import sys, psfr_core; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == "False\n"


def test_unknown_names_raise_attribute_errors() -> None:
    assert psfr_core.models.__name__ == "psfr_core.models"  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = psfr_core.nothing  # type: ignore[attr-defined]


def test_public_names_exist_and_are_documented() -> None:
    for name in psfr_core.__all__:
        assert getattr(psfr_core, name).__doc__, name
    assert sorted(psfr_core.__all__) == psfr_core.__all__


def test_loading_the_bundled_models_does_not_import_sympy() -> None:
    """Test that the first restoration does not wait a second for a package that it does not use."""
    code = "import sys, psfr_core; psfr_core.load_models(device='cpu'); print('sympy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "False"
