"""Read YAML files into dataclasses, with messages that name the file and the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml

from ..errors import OptionError
from ..files import read_regular_file
from ..optional_package import import_optional

V = TypeVar("V")


def read_yaml(path: Path, subject: str) -> Any:
    """Return the content of a YAML file.

    Raises OptionError if the file cannot be read or is not valid YAML. The message calls the file ``subject``.
    """
    try:
        text = read_regular_file(path)
    except (OSError, ValueError) as error:  # ValueError for a null character in the path
        reason = getattr(error, "strerror", None) or error
        raise OptionError(f"The {subject} {path} cannot be read ({reason}).") from error
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise OptionError(f"The {subject} {path} is not valid YAML ({error}).") from error


def parse_yaml(text: str | bytes) -> Any:
    """Return the value of a YAML text. Raise ValueError with a message of one line if the text is not valid."""
    try:
        return yaml.safe_load(text)
    except Exception as error:  # tags such as !!timestamp raise errors of any type
        raise ValueError(str(error).split("\n")[0]) from error


def to_dataclass(type_: type[V], values: Mapping[str, Any], where: str) -> V:
    """Convert ``values`` to the dataclass ``type_``; pydantic checks and converts the fields.

    Raises OptionError if fields are invalid or unknown; its message begins with ``where`` and names them. Raises
    MissingPackageError if pydantic is not installed.
    """
    pydantic = import_optional("pydantic", "Reading a recipe or specification", "pydantic")
    try:
        result = pydantic.TypeAdapter(type_).validate_python(values)
    except pydantic.ValidationError as error:
        faults = "; ".join(_describe_fault(fault["loc"], fault["msg"]) for fault in error.errors())
        raise OptionError(f"{where}: {faults}.") from error
    unknown = _unknown_fields(values, result)
    if unknown:
        raise OptionError(f"{where}: there is no field {', '.join(unknown)}.")
    return cast("V", result)


def _describe_fault(location: Sequence[str | int], message: str) -> str:
    name = ".".join(map(str, location))
    return ": ".join(filter(None, [name, message.removeprefix("Value error, ").rstrip(".")]))


def _unknown_fields(values: Mapping[str, Any], result: Any, prefix: str = "") -> list[str]:
    """Return the dotted names in ``values`` that are not fields of the dataclass ``result``; pydantic ignores such names."""
    found: list[str] = []
    for name, value in values.items():
        if name not in {part.name for part in fields(result)}:
            found.append(f"{prefix}{name}")
        elif is_dataclass(inner := getattr(result, name)) and isinstance(value, dict):
            found += _unknown_fields(cast("dict[str, Any]", value), inner, f"{prefix}{name}.")
    return found
