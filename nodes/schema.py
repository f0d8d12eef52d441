"""What the schemas of all nodes share."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from typing import Any, TypeVar

from comfy_api.latest import io

from ..psfr_core.errors import OptionError

CATEGORY = "face restoration/PSFR-GAN"

E = TypeVar("E", bound=Enum)
I = TypeVar("I", bound=io.Input)  # noqa: E741

_SCHEMA_FIELDS = {field.name for field in fields(io.Schema)}


def supported_fields(**settings: Any) -> dict[str, Any]:
    """Those of ``settings`` that this version of ComfyUI knows as fields of a schema."""
    return {name: value for name, value in settings.items() if name in _SCHEMA_FIELDS}


def shows_preview() -> dict[str, Any]:
    """Settings of a node with a preview: newer versions show it again when the node's result comes from the cache."""
    return supported_fields(has_intermediate_output=True)


def advanced(socket: I) -> I:
    """``socket`` folded away with the advanced ones, in every version of ComfyUI that can."""
    if hasattr(socket, "advanced"):
        setattr(socket, "advanced", True)  # noqa: B010  # unknown to older versions
    else:
        socket.extra_dict["advanced"] = True
    return socket


def parse_enum(options: type[E], value: str) -> E:
    """The member of the enum ``options`` that a combo sent; old versions of ComfyUI send what a graph says, unchecked."""
    try:
        return options(value)
    except ValueError:
        known = ", ".join(repr(member.value) for member in options)
        raise OptionError(f"{value!r} is no {options.__name__}. Choose one of {known}.") from None
