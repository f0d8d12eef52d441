"""Define command line flags for the fields of option dataclasses."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from dataclasses import MISSING, Field, fields
from enum import Enum
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ..options import description_of

T = TypeVar("T")
MAX_SIDE = 8192
"""Maximum side of an aligned face in pixels."""


def add_options(parser: argparse.ArgumentParser, options: type, *, skip: Iterable[str] = (), **defaults: Any) -> None:
    """Add a group of flags for the fields of the dataclass ``options``, except those in ``skip``.

    ``defaults`` replace the defaults of fields. A field without a default becomes a required flag.
    """
    title = re.sub("(?<=[a-z])(?=[A-Z])", " ", options.__name__).lower()  # such as "detection options"
    group = parser.add_argument_group(title, (options.__doc__ or "").split("\n")[0])
    for field, hint in _fields(options, skip):
        default = _enum_value(defaults.get(field.name, field.default))
        required = default is MISSING
        note = "required" if required else f"default: {_format_default(default)}"
        settings: dict[str, Any] = {"required": True} if required else {"default": default}
        group.add_argument(
            f"--{field.name.replace('_', '-')}",
            help="; ".join(part for part in (description_of(field), note) if part),
            **settings,
            **_argument(hint),
        )


def options_from_args(args: argparse.Namespace, options: type[T], *, skip: Iterable[str] = ()) -> T:
    """Return an instance of the dataclass ``options`` with the values of the parsed flags.

    Fields in ``skip`` have their defaults. The checks of the dataclass raise OptionError for values out of range.
    """
    return options(
        **{field.name: _parse_value(getattr(args, field.name), hint) for field, hint in _fields(options, skip)}
    )


def given_options_from_args(args: argparse.Namespace, options: type, *, skip: Iterable[str] = ()) -> dict[str, Any]:
    """Return the values of the flags that were given, by field of ``options``. The parser's defaults must be None."""
    values = [(field.name, getattr(args, field.name), hint) for field, hint in _fields(options, skip)]
    return {name: _parse_value(value, hint) for name, value, hint in values if value is not None}


def _fields(options: type, skip: Iterable[str]) -> list[tuple[Field[Any], Any]]:
    """Return the fields that are not in ``skip``, with their types. None is removed from unions."""
    hints = get_type_hints(options)
    return [(field, _without_none(hints[field.name])) for field in fields(options) if field.name not in skip]


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        return next(part for part in get_args(hint) if part is not NoneType)
    return hint


def _argument(hint: Any) -> dict[str, Any]:
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    if get_origin(hint) is tuple:
        part, *others = get_args(hint)
        return {"type": part, "nargs": "+" if others == [Ellipsis] else 1 + len(others)}
    if issubclass(hint, Enum):
        return {"choices": [member.value for member in hint], "type": str}
    return {"type": hint}


def _parse_value(value: Any, hint: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return hint(value) if isinstance(hint, type) and issubclass(hint, Enum) else value


def _format_default(default: Any) -> str:
    return " ".join(str(part) for part in default) if isinstance(default, tuple) else str(default).lower()


def _enum_value(default: Any) -> Any:
    return default.value if isinstance(default, Enum) else default
