"""Fields of option dataclasses, with what they mean and which values they take."""

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

_MAX_SHOWN = 60  # characters of a bad value in a message


def option(default: T, description: str, *, low: float | None = None, high: float | None = None) -> T:
    """Return a dataclass field with this default and description, and the range that ``check_options`` holds it to."""
    return field(default=default, metadata={"description": description, "low": low, "high": high})


def description_of(option: Field[Any]) -> str:
    """Return what ``option`` was told; empty for other fields."""
    return option.metadata.get("description", "")


def check_options(options: Any) -> None:
    """Raise OptionError unless each field of the dataclass ``options`` is of its type and in its range."""
    hints = _hints_of(type(options))
    for option in fields(options):
        low, high = option.metadata.get("low"), option.metadata.get("high")
        check_value(option.name, getattr(options, option.name), hints[option.name], low=low, high=high)


def check_value(name: str, value: object, hint: Any, *, low: float | None = None, high: float | None = None) -> None:
    """Raise OptionError unless ``value`` is of the type ``hint`` and all numbers in it lie from ``low`` to ``high``.

    A float is any finite number but a bool, and an int any whole one; NumPy's numbers count as well.
    """
    if not _fits(value, hint, low, high):
        needed = " or ".join(_in_words(kind, low, high) for kind in _kinds(hint))
        raise OptionError(f"{name} must be {needed}, got {_shown(value)}.")


_hints_of = cache(get_type_hints)


def _kinds(hint: Any) -> tuple[Any, ...]:
    """The types that a union is made of."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _fits(value: object, hint: Any, low: float | None, high: float | None) -> bool:
    return any(_is_a(value, kind, low, high) for kind in _kinds(hint))


def _is_a(value: Any, kind: Any, low: float | None, high: float | None) -> bool:
    if isinstance(value, bool):  # which Python counts among the numbers
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
    except OverflowError:  # an int that no float holds
        return False


def _is_within(number: Any, low: float | None, high: float | None) -> bool:
    return (low is None or number >= low) and (high is None or number <= high)


def _in_words(kind: Any, low: float | None, high: float | None) -> str:
    if kind is NoneType:
        return "None"
    if kind is bool:
        return "True or False"
    if kind in (int, float):
        return ("a whole number" if kind is int else "a number") + _range_in_words(low, high)
    if get_origin(kind) in (tuple, frozenset):
        return f"a {get_origin(kind).__name__} with each entry {_in_words(get_args(kind)[0], low, high)}"
    example = f", such as {kind.__name__}.{next(iter(kind)).name}" if issubclass(kind, Enum) else ""
    return f"a {kind.__name__}{example}"


def _range_in_words(low: float | None, high: float | None) -> str:
    if low is None:
        return ""
    return f" of at least {_digits(low)}" if high is None else f" from {_digits(low)} to {_digits(high)}"


def _digits(limit: float) -> str:
    return str(limit) if isinstance(limit, int) else f"{limit:g}"


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # such as an int of more digits than Python writes
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
