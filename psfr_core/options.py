"""Define and check the fields of option dataclasses, which have descriptions and ranges."""

from __future__ import annotations

from dataclasses import Field, field, fields
from enum import Enum
from functools import cache
from math import isfinite
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import OptionError

T = TypeVar("T")

_MAX_SHOWN = 60  # maximum number of characters that a message shows of an invalid value


def option(default: T, description: str, *, low: float | None = None, high: float | None = None) -> T:
    """Return a dataclass field with a default, a description, and a range that ``check_options`` checks."""
    return field(default=default, metadata={"description": description, "low": low, "high": high})


def description_of(entry: Field[Any]) -> str:
    """Return the description of a field, or an empty text if ``option`` did not create the field."""
    return entry.metadata.get("description", "")


def check_options(options: Any) -> None:
    """Raise OptionError unless the values of all fields of the dataclass ``options`` have the declared types and ranges."""
    hints = _hints_of(type(options))
    for entry in fields(options):
        low, high = entry.metadata.get("low"), entry.metadata.get("high")
        check_value(entry.name, getattr(options, entry.name), hints[entry.name], low=low, high=high)


def check_value(name: str, value: object, hint: Any, *, low: float | None = None, high: float | None = None) -> None:
    """Raise OptionError unless ``value`` has the type ``hint`` and its numbers are in [``low``, ``high``].

    None for ``low`` or ``high`` means no limit. ``float`` accepts any finite number, and ``int`` any integer, including NumPy
    numbers. Neither accepts bools. The values in a tuple or frozenset are checked one by one.
    """
    if not _fits(value, hint, low, high):
        needed = " or ".join(_describe_type(kind, low, high) for kind in _union_members(hint))
        raise OptionError(f"{name} must be {needed}, got {_format_value(value)}.")


_hints_of = cache(get_type_hints)


def _union_members(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type itself."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _fits(value: object, hint: Any, low: float | None, high: float | None) -> bool:
    return any(_matches(value, kind, low, high) for kind in _union_members(hint))


def _matches(value: Any, kind: Any, low: float | None, high: float | None) -> bool:
    if isinstance(value, bool):  # bool is a subclass of int
        return kind is bool
    if kind is int:
        return isinstance(value, Integral) and _is_within(value, low, high)
    if kind is float:
        return isinstance(value, Real) and _is_finite(value) and _is_within(value, low, high)
    if get_origin(kind) in (tuple, frozenset):
        return isinstance(value, get_origin(kind)) and all(_fits(part, get_args(kind)[0], low, high) for part in value)
    return isinstance(value, kind)


def _is_finite(number: Any) -> bool:
    try:
        return isfinite(number)
    except OverflowError:  # the integer is too large for a float
        return False


def _is_within(number: Any, low: float | None, high: float | None) -> bool:
    return (low is None or number >= low) and (high is None or number <= high)


def _describe_type(kind: Any, low: float | None, high: float | None) -> str:
    if kind is NoneType:
        return "None"
    if kind is bool:
        return "True or False"
    if kind in (int, float):
        return ("an integer" if kind is int else "a number") + _describe_range(low, high)
    if get_origin(kind) in (tuple, frozenset):
        return f"a {get_origin(kind).__name__} in which each entry is {_describe_type(get_args(kind)[0], low, high)}"
    example = f", such as {kind.__name__}.{next(iter(kind)).name}" if issubclass(kind, Enum) else ""
    return f"a {kind.__name__}{example}"


def _describe_range(low: float | None, high: float | None) -> str:
    if low is None:
        return ""
    if high is None:
        return f" of at least {_format_limit(low)}"
    return f" from {_format_limit(low)} to {_format_limit(high)}"


def _format_limit(limit: float) -> str:
    return str(limit) if isinstance(limit, int) else f"{limit:g}"


def _format_value(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # for example an int with too many digits for Python to print
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
