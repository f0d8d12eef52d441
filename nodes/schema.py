"""Schema fields shared by all nodes."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from typing import Any, TypeVar

from comfy_api.latest import io

from ..psfr_core.errors import OptionError

CATEGORY = "face restoration/PSFR-GAN"
TEST_CATEGORY = f"{CATEGORY}/testing"  # nodes that degrade and compare images
CONVERSION_CATEGORY = f"{CATEGORY}/conversion"  # nodes that exchange faces with other nodes
REPORT_TOOLTIP = "Text report with the number of faces, and the reasons why faces were left out."

E = TypeVar("E", bound=Enum)
I = TypeVar("I", bound=io.Input)  # noqa: E741

_SCHEMA_FIELDS = {field.name for field in fields(io.Schema)}


def supported_fields(**settings: Any) -> dict[str, Any]:
    """Return the ``settings`` that this version of ComfyUI supports as schema fields."""
    return {name: value for name, value in settings.items() if name in _SCHEMA_FIELDS}


def shows_preview() -> dict[str, Any]:
    """Return the fields that let newer versions of ComfyUI show the preview of a cached node again."""
    return supported_fields(has_intermediate_output=True)


def advanced(socket: I) -> I:
    """Mark ``socket`` as advanced in every version of ComfyUI that supports it, and return ``socket``."""
    if hasattr(socket, "advanced"):
        setattr(socket, "advanced", True)  # noqa: B010  # unknown to older versions
    else:
        socket.extra_dict["advanced"] = True
    return socket


def parse_enum(options: type[E], value: str) -> E:
    """Return the member of ``options`` with a combo's value. Raise OptionError for a value that is not an option."""
    try:
        return options(value)
    except ValueError:
        known = ", ".join(repr(member.value) for member in options)
        raise OptionError(f"Unknown choice {value!r}. Choose one of {known}.") from None
