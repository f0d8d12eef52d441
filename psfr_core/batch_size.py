"""Batch sizes for inference."""

from __future__ import annotations

import torch

from .options import check_value

MAX_BATCH_SIZE = 4096

_MAX_DEFAULT = 8  # larger batches are not faster
_DEFAULT_FOR_UNKNOWN_MEMORY = 4
_BYTES_PER_FACE = 2**30  # an upper bound for one face of 512 px in float32


def default_batch_size(device: torch.device) -> int:
    """Return the default batch size: 1 on a CPU, and as many faces as fit in the free memory on a GPU, at most 8."""
    if device.type == "cpu":
        return 1  # larger batches are not faster
    if device.type != "cuda":
        return _DEFAULT_FOR_UNKNOWN_MEMORY
    free, _ = torch.cuda.mem_get_info(device)
    # Memory in PyTorch's cache is available, too.
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min(max(free // _BYTES_PER_FACE, 1), _MAX_DEFAULT)


def check_batch_size(batch_size: int | None) -> None:
    """Raise OptionError unless ``batch_size`` is from 1 to ``MAX_BATCH_SIZE``, or None for the default."""
    check_value("batch_size", batch_size, int | None, low=1, high=MAX_BATCH_SIZE)
