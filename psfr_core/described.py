"""Fields of option dataclasses with a word on what they do, which the command line shows as help."""

from __future__ import annotations

from dataclasses import Field, field
from typing import Any, TypeVar

T = TypeVar("T")


def described(default: T, description: str) -> T:
    """A dataclass field with this default and description."""
    return field(default=default, metadata={"description": description})


def description_of(option: Field[Any]) -> str:
    """What ``described`` was told; empty for other fields."""
    return option.metadata.get("description", "")
