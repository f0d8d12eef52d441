"""Compare the public names and signatures with a snapshot.

``make locales`` (``pytest --write-strings``) updates the snapshot.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import get_type_hints

import pytest

import psfr_core

ROOT = Path(__file__).parents[1]
MODULE = re.compile(r"\b(\w+\.)+")
SNAPSHOT = Path(__file__).with_name("public_api.txt")


def public_api() -> Iterator[str]:
    for name in psfr_core.__all__:
        value = getattr(psfr_core, name)
        if inspect.isclass(value):
            yield f"class {name}"
            yield from (f"    {line}" for line in members(value))
        else:
            yield f"{name}{inspect.signature(value)}"


def members(kind: type) -> Iterator[str]:
    if issubclass(kind, Enum):
        yield from (f"{member.name} = {member.value!r}" for member in kind)
        return
    stored = [field.name for field in fields(kind)] if is_dataclass(kind) else getattr(kind, "_fields", ())
    hints = {name: inspect.formatannotation(hint) for name, hint in get_type_hints(kind).items()}
    yield from (f"{name}: {re.sub(MODULE, '', hints[name])}" for name in stored)
    for name, value in sorted(vars(kind).items()):
        if name.startswith("_") or name in stored:
            continue
        function = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
        if inspect.isfunction(function):
            yield f"{name}{inspect.signature(function)}"
        elif isinstance(value, property):
            yield f"{name}: property"


def test_public_api_matches_the_snapshot(request: pytest.FixtureRequest) -> None:
    found = "\n".join(public_api()) + "\n"
    if request.config.getoption("--write-strings", default=False):
        SNAPSHOT.write_text(found, encoding="utf-8")
    assert found == SNAPSHOT.read_text(encoding="utf-8"), "run make locales if the change is intended"


def test_versions_of_pip_and_python_match() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r'^version = "(.*)"$', project, re.MULTILINE) == [psfr_core.__version__]
