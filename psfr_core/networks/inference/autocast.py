"""Work in a precision of its own."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """A context in which ``device`` computes in the types of the tensors it is given, whatever the caller's autocast says.

    Networks with packed weights take no other types.
    """
    has_autocast = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if has_autocast else nullcontext()
