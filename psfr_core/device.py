"""Choose and check the device that networks run on."""

from __future__ import annotations

import torch

from .errors import OptionError


def resolve_device(device: str | torch.device | None) -> torch.device:
    """Return ``device``, or the best available device if it is None. Raise OptionError if the device cannot be used."""
    if device is None:
        return _best_device()
    try:
        torch.zeros(1, device=device).item()
    except Exception as error:  # each device type raises different errors
        reason = (str(error) or type(error).__name__).splitlines()[0]
        usable = dict.fromkeys([str(_best_device()), "cpu"])
        raise OptionError(f"The device {device} cannot be used here ({reason}). Use {' or '.join(usable)}.") from error
    return torch.device(device)


def _best_device() -> torch.device:
    """Return CUDA if available, else MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
