"""Which samples go into which step, and their way to the network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset


@dataclass(frozen=True)
class Shares:
    """The indices of one process's batches, in order.

    Step ``s`` has the samples from ``s * batch_size`` on, however many processes and accumulation steps share them.
    """

    steps: range
    batch_size: int
    accumulation_steps: int = 1
    processes: int = 1
    process: int = 0

    def __iter__(self) -> Iterator[list[int]]:
        size = self.batch_size // (self.accumulation_steps * self.processes)
        for step in self.steps:
            for part in range(self.accumulation_steps):
                first = step * self.batch_size + (part * self.processes + self.process) * size
                yield list(range(first, first + size))


def load_batches(samples: Dataset[Any], shares: Shares, workers: int, device: torch.device) -> Iterator[Any]:
    """The batches of ``shares``, the same for any number of workers.

    Workers share the memory of ``samples``: they are forked, or get its tensors through shared memory.
    """
    return iter(
        DataLoader(
            samples,
            batch_sampler=shares,
            num_workers=workers,
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # its own, so that the caller's random numbers stay as they were
        )
    )
