"""Which samples go into which step, and their way to the network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

MAX_WORKERS = 8  # that are begun unasked


@dataclass(frozen=True)
class ShardedBatchSampler:
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


def load_batches(
    samples: Dataset[Any], sampler: ShardedBatchSampler, workers: int | None, device: torch.device
) -> Iterator[Any]:
    """The batches of ``sampler``, the same for any number of workers; None takes as many as suit ``device``.

    Workers that are forked share the memory of ``samples``; others get its tensors through shared memory, and copies of the rest.
    """
    return iter(
        DataLoader(
            samples,
            batch_sampler=sampler,
            num_workers=default_workers(device, sampler.processes) if workers is None else workers,
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # its own, so that the caller's random numbers stay as they were
        )
    )


def default_workers(device: torch.device, processes: int) -> int:
    """None beside training on a CPU, which they would slow down; else a share of the cores, as if on one machine."""
    return 0 if device.type == "cpu" else max(min((os.cpu_count() or 1) // processes, MAX_WORKERS), 1)
