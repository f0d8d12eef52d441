"""Read recipes from YAML files, with overrides, and write them.

A file contains one recipe, or ``stages``, which are recipes by name. A stage with ``like: STAGE`` inherits all values that it
does not set from that stage. ``$data`` and ``$out`` in strings are replaced by the folders of the data and the results.
Pydantic checks the values against the dataclasses and reports all invalid fields at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import reduce
from pathlib import Path
from string import Template
from typing import Any, ClassVar, Protocol, TypeVar, cast

from ...errors import OptionError
from ...options import description_of
from ..typed_yaml import parse_yaml, read_yaml, to_dataclass
from .recipe import RECIPES, Recipe

V = TypeVar("V")
FOLDER = Path(__file__).parent / "recipes"
SUFFIX = ".yaml"
FOLDER_NAMES = ("data", "out")


def recipe_names() -> list[str]:
    """Return the names of the recipes in this package."""
    return sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))


def find_recipe(source: str | Path) -> Path:
    """Return the path of a recipe or study. ``source`` is a name in this package or a path.

    Raises OptionError if there is no such file.
    """
    named = {path.stem: path for path in FOLDER.rglob(f"*{SUFFIX}")}
    path = named.get(str(source), Path(source))
    if not path.is_file():
        raise OptionError(
            f"There is no recipe {source}. Give the path of a file, or one of {', '.join(sorted(named))}."
        )
    return path


def read_recipes(
    source: str | Path, *, data: Path | None = None, out: Path | None = None, overrides: Sequence[str] = ()
) -> dict[str, Recipe]:
    """Read the recipes in ``source``, and return them by name of the stage, in the order in which they run.

    ``source`` is a name in this package or a path. ``data`` and ``out`` replace ``$data`` and ``$out``. ``overrides``, such as
    ``losses.style=2``, replace values in all stages that have the outermost field, here ``losses``.
    Raises OptionError for an invalid file or invalid values; its message names the file, the stage and the field.
    """
    return read_stages(source, RECIPES, data=data, out=out, overrides=overrides)


def read_stages(
    source: str | Path,
    kinds: Mapping[str, type[V]],
    *,
    data: Path | None = None,
    out: Path | None = None,
    overrides: Sequence[str] = (),
) -> dict[str, V]:
    """Read the stages of ``source`` as ``read_recipes`` does; ``kinds`` maps each value of the field ``kind`` to a dataclass."""
    path = find_recipe(source)
    content = _read_stages_or_recipe(path)
    stages: dict[str, Any] = content.get("stages", {path.stem: content})
    changes = {text: parse_override(text) for text in overrides}
    unused = set(changes)
    folders = {name: str(folder) for name, folder in (("data", data), ("out", out)) if folder is not None}
    found: dict[str, V] = {}
    for name in stages:
        where = f"{path}, stage {name}" if "stages" in content else str(path)
        values = _inherited(stages, name, where)
        kind = values.pop("kind", None)
        if kind not in kinds:
            raise OptionError(f"{where}: kind must be one of {', '.join(kinds)}, got {kind!r}.")
        known = {part.name for part in fields(cast("type[Any]", kinds[kind]))}
        fitting = {text: change for text, change in changes.items() if known.issuperset(change)}
        unused -= set(fitting)
        values = _substituted(reduce(_merged, fitting.values(), values), folders, where)
        found[name] = to_dataclass(kinds[kind], values, where)
    if unused:
        raise OptionError(f"{path} has no field for {', '.join(sorted(unused))}.")
    return found


def parse_override(text: str) -> dict[str, Any]:
    """Convert ``"losses.style=2"`` to ``{"losses": {"style": 2}}``. The value is read as YAML.

    Raises OptionError if ``text`` is not an override.
    """
    name, equals, value = text.partition("=")
    if not (equals and all(name.split("."))):
        raise OptionError(f"'{text}' is not an override. Write NAME=VALUE, such as losses.style=2.")
    try:
        parsed = parse_yaml(value)
    except ValueError as error:
        raise OptionError(f"'{text}': the value cannot be read as YAML ({error}).") from error
    return reduce(lambda inner, part: {part: inner}, reversed(name.split(".")), parsed)


class HasKind(Protocol):
    """Recipe or study that ``to_yaml`` can write."""

    kind: ClassVar[str]


def to_yaml(recipe: HasKind) -> str:
    """Return the YAML text of a recipe, with the description of each field as a comment. Reading it gives the same recipe."""
    return "\n".join([f"kind: {recipe.kind}", *_lines(recipe)]) + "\n"


def _lines(value: Any, indent: str = "") -> list[str]:
    lines: list[str] = []
    for part in fields(value):
        inner = getattr(value, part.name)
        description = description_of(part)
        remark = f"  # {description}" if description else ""
        if is_dataclass(inner):
            lines += [f"{indent}{part.name}:{remark}", *_lines(inner, indent + "  ")]
        else:
            lines.append(f"{indent}{part.name}: {json.dumps(_json_value(inner))}{remark}")
    return lines


def _json_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_json_value(part) for part in cast("tuple[Any, ...]", value)]
    return value.value if isinstance(value, Enum) else str(value) if isinstance(value, Path) else value


def _read_stages_or_recipe(path: Path) -> dict[str, Any]:
    content = read_yaml(path, "recipe")
    if not isinstance(content, dict) or not isinstance(content.get("stages", {}), dict):
        raise OptionError(f"The recipe {path} must contain fields with values, or stages with fields.")
    return cast("dict[str, Any]", content)


def _inherited(stages: Mapping[str, Any], name: str, where: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the values of a stage, merged over the values of the stage from which it inherits."""
    values = stages.get(name)
    if not isinstance(values, dict) or name in seen:
        raise OptionError(f"{where}: 'like' must name another stage of this file, without a cycle; got {name}.")
    values = dict(cast("dict[str, Any]", values))
    parent = values.pop("like", None)
    return values if parent is None else _merged(_inherited(stages, str(parent), where, (*seen, name)), values)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in changes.items():
        old = merged.get(name)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[name] = _merged(cast("dict[str, Any]", old), cast("dict[str, Any]", value)) if both else value
    return merged


def _substituted(value: Any, folders: Mapping[str, str], where: str) -> Any:
    if isinstance(value, dict):
        return {name: _substituted(part, folders, where) for name, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_substituted(part, folders, where) for part in cast("list[Any]", value)]
    if not isinstance(value, str):
        return value
    try:
        return Template(value).substitute(folders)
    except (KeyError, ValueError) as error:
        name = error.args[0]
        if name in FOLDER_NAMES:
            raise OptionError(f"{where}: '{value}' needs the folder ${name}: give {name} (psfr: --{name}).") from error
        raise OptionError(
            f"{where}: '{value}' has a $ that is neither $data nor $out. Write $$ for a dollar sign."
        ) from error
