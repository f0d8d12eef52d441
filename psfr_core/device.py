"""Where networks compute."""

from __future__ import annotations

import torch

from .errors import OptionError


def resolve_device(device: str | torch.device | None) -> torch.device:
    """The device asked for, or the best there is for None; OptionError when nothing can be computed on it."""
    if device is None:
        return _best_device()
    try:
        torch.zeros(1, device=device).item()
    except Exception as error:  # each kind of device raises its own
        reason = (str(error) or type(error).__name__).splitlines()[0]
        usable = dict.fromkeys([str(_best_device()), "cpu"])
        raise OptionError(f"The device {device} cannot be used here ({reason}). Use {' or '.join(usable)}.") from error
    return torch.device(device)


def _best_device() -> torch.device:
    """CUDA, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
