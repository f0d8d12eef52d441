"""Sample random values of degradations."""

from __future__ import annotations

from typing import TypeVar

import torch

from ...errors import InputError
from .ranges import Range

T = TypeVar("T")


class Sampler:
    """Sample random values from a CPU generator. Raises InputError if ``generator`` is not a CPU generator."""

    def __init__(self, generator: torch.Generator) -> None:
        if generator.device.type != "cpu":
            raise InputError(
                f"Degradations are sampled from a CPU generator to be equal on all devices; got a generator on {generator.device}."
            )
        self._generator = generator

    def uniform(self, limits: Range) -> float:
        """Return a number from ``limits``."""
        low, high = limits
        return low + (high - low) * torch.rand((), generator=self._generator).item()

    def happens(self, probability: float) -> bool:
        """Return true with the given probability."""
        return self.uniform((0.0, 1.0)) < probability

    def choice(self, choices: tuple[T, ...]) -> T:
        """Return one of ``choices``, which are equally likely."""
        return choices[int(torch.randint(len(choices), (), generator=self._generator))]

    def seed(self) -> int:
        """Return a seed for a generator of its own."""
        return int(torch.randint(2**62, (), generator=self._generator))
