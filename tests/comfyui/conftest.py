"""Fixtures for the tests in a real ComfyUI."""

from __future__ import annotations

from typing import Any

import pytest


def _defaults(comfy: Any, class_type: str) -> dict[str, Any]:
    """Return the default values of the required widgets of a node, by name."""
    required = comfy.get_json(f"/object_info/{class_type}")[class_type]["input"].get("required", {})
    return {
        name: settings[0]["default"]
        for name, (_, *settings) in required.items()
        if settings and "default" in settings[0]
    }


@pytest.fixture
def ours(comfy: Any) -> Any:
    """Return a function that builds a node of a prompt from its default values and the given inputs."""
    return lambda class_type, **inputs: {"class_type": class_type, "inputs": _defaults(comfy, class_type) | inputs}


@pytest.fixture
def base(ours: Any) -> dict[str, dict[str, Any]]:
    """Return a prompt with nodes for the models (m), a portrait (i) and its faces (d)."""
    return {
        "m": ours("PSFR_LoadModels"),
        "i": ours("PSFR_LoadExampleImage", picture="portrait_low_quality.jpg"),
        "d": ours("PSFR_DetectFaces", image=["i", 0], detector=["m", 2]),
    }
