"""Provide the names that the nodes import from ``comfy_api.latest``."""

from __future__ import annotations

from abc import ABC, abstractmethod

from . import io, ui
from .input_impl import InputImpl

__all__ = ["ComfyExtension", "InputImpl", "io", "ui"]


class ComfyExtension(ABC):
    """Base class of a pack's extension."""

    @abstractmethod
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Return the nodes of the pack."""
