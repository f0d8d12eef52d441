"""Assign samples to steps and processes, and load them in batches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

MAX_DEFAULT_WORKERS = 8


@dataclass(frozen=True)
class ShardedBatchSampler:
    """Sampler that yields the sample indices of each batch of one process, in order.

    Step ``s``, counted from 0, uses the samples from ``s * batch_size`` to ``(s + 1) * batch_size - 1``, for any number of
    processes and accumulation steps.
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
    """Yield the batches of ``sampler``. If ``workers`` is None, ``default_workers`` gives the number of workers.

    The number of workers does not change the batches. Forked workers share the memory of ``samples``. Spawned workers share
    the tensors and get copies of all other data.
    """
    return iter(
        DataLoader(
            samples,
            batch_sampler=sampler,
            num_workers=default_workers(device, sampler.processes) if workers is None else workers,
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # keeps the global random state unchanged
        )
    )


def default_workers(device: torch.device, processes: int) -> int:
    """Return the default number of sample workers of one process.

    The number is 0 on a CPU, where workers would slow training down, and otherwise the number of cores divided by
    ``processes``, from 1 to 8.
    """
    return 0 if device.type == "cpu" else max(min((os.cpu_count() or 1) // processes, MAX_DEFAULT_WORKERS), 1)
