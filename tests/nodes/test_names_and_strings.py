"""Test the names that workflows store and the texts that users read.

``make locales`` (``pytest --write-strings``) writes the English texts and the stored names from the schemas into files.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOCALES = ROOT / "locales"
ENGLISH = LOCALES / "en" / "nodeDefs.json"
TRANSLATIONS = ("fr", "ja", "ko", "ru", "zh")
NODE_API = Path(__file__).with_name("node_api.json")
# combos whose values are names of files
_FILE_COMBOS = {"generator", "restorer", "parser", "detector", "lpips_features", "lpips_heads", "picture", "clip"}
# labels that are shown instead of the input names
_LABELS = {"grey_probability": "gray probability", "cloth": "clothes"}


def node_strings(schema: Any) -> dict[str, Any]:
    """Return the English texts of one node."""
    return {
        "display_name": schema.display_name,
        "description": schema.description,
        "inputs": {socket.id: _input_strings(socket) for socket in schema.inputs},
        "outputs": {
            str(place): {"name": socket.display_name, "tooltip": socket.tooltip}
            for place, socket in enumerate(schema.outputs)
        },
    }


def _input_strings(socket: Any) -> dict[str, Any]:
    assert socket.display_name is None, "some versions of ComfyUI would not translate it"
    name = str(_LABELS.get(socket.id) or socket.id.replace("_", " "))
    if socket.id == "confidence" and socket.default == 0:
        name += " (0: automatic)"
    strings: dict[str, Any] = {"name": name, "tooltip": socket.tooltip}
    if socket.io_type == "COMBO" and socket.id not in _FILE_COMBOS:
        strings["options"] = {option: option.replace("_", " ") for option in socket.options}
    return strings


def node_api(schema: Any) -> dict[str, Any]:
    """Return the names, types and combo values that a saved workflow stores for one node, in order."""
    return {
        "inputs": {
            socket.id: socket.options
            if socket.io_type == "COMBO" and socket.id not in _FILE_COMBOS
            else socket.io_type + (" (optional)" if socket.optional else "")
            for socket in schema.inputs
        },
        "outputs": [socket.io_type for socket in schema.outputs],
    }


@pytest.fixture
def schemas(nodes: dict[str, Any]) -> dict[str, Any]:
    return {node_id: node.define_schema() for node_id, node in nodes.items()}


@pytest.fixture
def checked_in(request: pytest.FixtureRequest) -> Callable[[Path, Any], Any]:
    """Return a function that reads a JSON file. With --write-strings, it first writes the found value into the file."""

    def read_back(path: Path, found: Any) -> Any:
        if request.config.getoption("--write-strings", default=False):
            path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return json.loads(path.read_text(encoding="utf-8"))

    return read_back


def read(language: str, name: str) -> Any:
    return json.loads((LOCALES / language / name).read_text(encoding="utf-8"))


def leaves(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:
    """Return all texts of a locale file by their nested keys."""
    if isinstance(value, dict):
        return {key: text for name, inner in value.items() for key, text in leaves(inner, (*path, name)).items()}
    return {path: value}


def test_names_that_workflows_store_have_not_changed(schemas: dict[str, Any], checked_in: Any) -> None:
    found = {node_id: node_api(schema) for node_id, schema in schemas.items()}
    assert found == checked_in(NODE_API, found), "saved workflows would break; if this is intended, run: make locales"


def test_managers_scanner_finds_every_node(nodes: dict[str, Any]) -> None:
    """Find nodes as ComfyUI Manager's scanner does: by the base class io.ComfyNode and a literal id in a call of Schema."""
    found: dict[str, str] = {}
    for path in (ROOT / "nodes").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and [ast.unparse(base) for base in node.bases] == ["io.ComfyNode"]:
                calls = [call for call in ast.walk(node) if isinstance(call, ast.Call)]
                (schema,) = [call for call in calls if ast.unparse(call.func) == "io.Schema"]
                literal = {keyword.arg: keyword.value for keyword in schema.keywords}["node_id"]
                assert isinstance(literal, ast.Constant)
                found[node.name] = str(literal.value)
    assert found == {node_id: node_id for node_id in nodes}


def test_every_node_has_all_texts(schemas: dict[str, Any]) -> None:
    for schema in schemas.values():
        assert schema.display_name.endswith(("(PSFR-GAN)", "Load PSFR-GAN"))
        assert schema.description.endswith(".")
        for socket in (*schema.inputs, *schema.outputs):
            assert socket.tooltip, (schema.node_id, socket)
            assert socket.tooltip.endswith(".")
        assert len(schema.inputs) <= 9 or schema.node_id.endswith("Options")


def test_the_english_locale_equals_the_schemas(schemas: dict[str, Any], checked_in: Any) -> None:
    found = {node_id: node_strings(schema) for node_id, schema in schemas.items()}
    assert found == checked_in(ENGLISH, found), "run: make locales, and translate what is new"


@pytest.mark.parametrize("language", TRANSLATIONS)
@pytest.mark.parametrize("name", ["nodeDefs.json", "main.json"])
def test_every_text_is_translated(language: str, name: str) -> None:
    english, translated = leaves(read("en", name)), leaves(read(language, name))
    assert translated.keys() == english.keys()
    assert all(text.strip() for text in translated.values())
    sentences = [place for place, text in english.items() if text.endswith(".")]
    same = [place for place in sentences if translated[place] == english[place]]
    assert same == []


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_names_that_users_type_are_not_translated(language: str, pack: Any) -> None:
    """Test that tooltips keep the English names, because text inputs accept only these names."""
    names = pack("psfr_core.parsing.labels").REGION_NAMES
    tooltips = read(language, "nodeDefs.json")
    assert ", ".join(names) in tooltips["PSFR_PasteOptions"]["inputs"]["regions"]["tooltip"]
    for node_id in ("PSFR_SelectFaces", "PSFR_RestoreOptions"):
        tooltip = tooltips[node_id]["inputs"]["indices"]["tooltip"]
        assert "0,2,4-6" in tooltip
        assert "none" in tooltip


def test_every_type_of_the_pack_has_a_name_and_a_color(schemas: dict[str, Any]) -> None:
    types = {socket.io_type for schema in schemas.values() for socket in (*schema.inputs, *schema.outputs)}
    ours = {name for name in types if name.startswith("PSFR_")}
    colors = (ROOT / "web" / "js" / "link_colors.js").read_text(encoding="utf-8")
    assert set(re.findall(r"^  (PSFR_\w+): \"#[0-9a-f]{6}\",$", colors, re.MULTILINE)) == ours
    assert set(read("en", "main.json")["dataTypes"]) == ours


def test_every_node_has_a_help_page_with_its_pictures(nodes: dict[str, Any]) -> None:
    docs = ROOT / "web" / "docs"
    assert {path.stem for path in docs.glob("*.md")} == set(nodes)
    for page in docs.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for picture in [part.split(")")[0] for part in text.split("](")[1:]]:
            assert picture.startswith("https://") or (docs / picture).is_file(), f"{page}: {picture}"
