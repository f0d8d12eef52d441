"""Test the example workflows against the schemas of the nodes."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def schemas(nodes: dict[str, Any]) -> dict[str, Any]:
    return {node_id: node.define_schema() for node_id, node in nodes.items()}


def test_there_are_at_least_eight_examples(workflows: ModuleType) -> None:
    assert len(workflows.NAMES) >= 8


def test_an_example_fits_the_schemas(workflows: ModuleType, schemas: dict[str, Any], example: str) -> None:
    workflow = workflows.read(example)
    by_id = {node["id"]: node for node in workflow["nodes"]}
    ours = [node for node in workflow["nodes"] if node["type"].startswith("PSFR_")]
    assert ours
    for node in ours:
        schema = schemas[node["type"]]
        inputs = {socket.id: socket for socket in schema.inputs}
        assert {socket["name"] for socket in node["inputs"]} == set(inputs)
        assert [socket["type"] for socket in node["outputs"]] == [socket.io_type for socket in schema.outputs]
        for socket in node["inputs"]:
            assert socket["type"] == inputs[socket["name"]].io_type
            assert socket["link"] is not None or "widget" in socket or inputs[socket["name"]].optional
        to_fetch = {model["name"] for model in node["properties"].get("models", [])}
        for name, value in workflows.widget_values(node).items():
            assert value in to_fetch or is_valid(inputs[name], value), (node["type"], name, value)
    for _, origin, slot, target, place, kind in workflow["links"]:
        assert by_id[origin]["outputs"][slot]["type"] == kind
        # ComfyUI's Preview Any accepts all types
        assert by_id[target]["inputs"][place]["type"] in (kind, "*")


def is_valid(socket: Any, value: Any) -> bool:
    if socket.io_type == "COMBO":
        return value in socket.options
    if socket.io_type in ("INT", "FLOAT"):
        return socket.min <= value <= socket.max
    return type(value) is type(socket.default)


def test_an_example_has_a_note_and_a_thumbnail(workflows: ModuleType, example: str) -> None:
    workflow = workflows.read(example)
    assert any(node["type"] in workflows.NOTES for node in workflow["nodes"])
    with Image.open(EXAMPLES / f"{example}.jpg") as picture:
        assert min(picture.size) >= 256
    assert (EXAMPLES / f"{example}.jpg").stat().st_size < 200_000


def test_published_models_have_their_addresses(workflows: ModuleType, pack: Any) -> None:
    """Test the addresses that the frontend needs to offer downloads."""
    (loader,) = [node for node in workflows.read("14_published_512")["nodes"] if node["type"] == "PSFR_LoadModels"]
    chosen = [workflows.widget_values(loader)[name] for name in ("generator", "parser", "detector")]
    assert [model["name"] for model in loader["properties"]["models"]] == chosen
    for model in loader["properties"]["models"]:
        entry = pack("psfr_core.models.manifest").known_file(model["name"])
        assert model["url"] == entry.addresses[0]
        assert model["directory"] == entry.folders[0]
