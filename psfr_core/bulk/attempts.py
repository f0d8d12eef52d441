"""Count the attempts of processes that may end at any time. This module does not import PyTorch, so that its actor is small."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from ..optional_package import import_optional


class AttemptCounter:
    """Ray actor that counts attempts by key."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def start(self, key: str) -> int:
        """Count an attempt, and return its number, from 1."""
        self._counts[key] += 1
        return self._counts[key]

    def clear(self, key: str) -> None:
        """Forget the attempts of ``key``."""
        del self._counts[key]


@dataclass(frozen=True)
class Attempts:
    """Client of the ``AttemptCounter`` actor with the handle ``counter``, which all workers share."""

    counter: Any

    def start(self, key: str) -> int:
        """Count an attempt, and return its number, from 1."""
        return import_optional("ray", "A worker", "ray").get(self.counter.start.remote(key))

    def clear(self, key: str) -> None:
        """Forget the attempts of ``key``."""
        import_optional("ray", "A worker", "ray").get(self.counter.clear.remote(key))
