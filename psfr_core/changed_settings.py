"""Name the settings that differ between two runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any], ignored: Collection[str] = ()) -> str:
    """Return a text with the nested settings that differ, such as ``loop.steps was 10, is 20``, or an empty text.

    Settings whose dotted names are in ``ignored`` are not compared. A missing setting equals None and False, which are the
    defaults of settings that newer versions add.
    """
    old, new = dict(flat_settings(before)), dict(flat_settings(now))
    names = [
        name
        for name in {**old, **new}
        if name not in ignored and _true_or_set(old.get(name)) != _true_or_set(new.get(name))
    ]
    return "; ".join(f"{name} was {_format(old.get(name))}, is {_format(new.get(name))}" for name in names)


def _true_or_set(value: Any) -> Any:
    return None if value is False else value


def flat_settings(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted names and values of nested ``settings``. Names start with ``prefix``."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from flat_settings(cast("dict[str, Any]", value), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _format(value: Any) -> str:
    return "not set" if value is None else json.dumps(value)
