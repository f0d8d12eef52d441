"""How many faces go through a network together."""

from __future__ import annotations

import torch

from .options import check_value

MAX_BATCH_SIZE = 4096

_MAX_DEFAULT = 8  # more no longer hides anything
_UNKNOWN = 4
_BYTES_A_FACE = 2**30  # more than any of the networks takes for one of 512 px, in float32


def default_batch_size(device: torch.device) -> int:
    """One face on a CPU, which is busy with one, and where more only take memory; on a GPU as many as its free memory holds."""
    if device.type == "cpu":
        return 1
    if device.type != "cuda":
        return _UNKNOWN
    free, _ = torch.cuda.mem_get_info(device)
    # What PyTorch holds and does not use is free as well.
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min(max(free // _BYTES_A_FACE, 1), _MAX_DEFAULT)


def check_batch_size(batch_size: int | None) -> None:
    """Raise OptionError unless it is None, for the usual one, or from 1 to ``MAX_BATCH_SIZE``."""
    check_value("batch_size", batch_size, int | None, low=1, high=MAX_BATCH_SIZE)
