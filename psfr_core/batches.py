"""How many faces go through a network together."""

from __future__ import annotations

import torch

from .errors import OptionError


def usual_batch_size(device: torch.device) -> int:
    """One face on a CPU, which is busy with one, and where more only take memory; four elsewhere."""
    return 1 if device.type == "cpu" else 4


def check_batch_size(batch_size: int | None) -> None:
    """OptionError unless it is None, for the usual one, or at least 1."""
    if batch_size is not None and batch_size < 1:
        raise OptionError(f"batch_size must be at least 1, got {batch_size}.")
