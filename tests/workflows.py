"""Read example workflows and convert them to prompts for the server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.json"))
NOTES = {"Note", "MarkdownNote"}  # nodes that exist only in the frontend
_WITHOUT_VALUE = {"IMAGECOMPARE"}  # types of widgets that only show
_CONTROLS = {"fixed", "increment", "decrement", "randomize"}  # values of the widget that follows a seed


def read(name: str) -> dict[str, Any]:
    """Return the workflow of an example."""
    return json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def widget_values(node: dict[str, Any]) -> dict[str, Any]:
    """Return the widget values of a node by input name. Raise ValueError for missing or excess values."""
    values = list(node.get("widgets_values", []))
    found: dict[str, Any] = {}
    for socket in node["inputs"]:
        if "widget" in socket and socket["type"] not in _WITHOUT_VALUE:
            if not values:
                raise ValueError(f"{node['type']} has no value for {socket['name']}")
            found[socket["name"]] = values.pop(0)
            if "seed" in socket["name"] and values and values[0] in _CONTROLS:
                values.pop(0)
    if values:
        raise ValueError(f"{node['type']} has values without an input: {values}")
    return found


def to_prompt(workflow: dict[str, Any]) -> dict[str, Any]:
    """Convert a workflow to the prompt that the frontend posts to ``/prompt``."""
    links = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    return {
        str(node["id"]): {
            "class_type": node["type"],
            "inputs": widget_values(node)
            | {socket["name"]: links[socket["link"]] for socket in node["inputs"] if socket["link"] is not None},
        }
        for node in workflow["nodes"]
        if node["type"] not in NOTES
    }
