"""Networks that have a precision of their own."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """A context in which networks on ``device`` compute in the types of their weights, whatever the caller's autocast says.

    Packed weights take no other type.
    """
    has_autocast = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if has_autocast else nullcontext()
