"""Identify networks by their weights."""

from __future__ import annotations

import hashlib

import torch
from torch import nn


def fingerprint(network: nn.Module) -> str:
    """Return the SHA-256 of the names, dtypes, shapes and values in the state dict of ``network`` as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, values in sorted(network.state_dict().items()):
        plain = values.to_dense() if values.is_mkldnn else values  # weights that are packed for the processor
        digest.update(f"{name} {plain.dtype} {tuple(plain.shape)}\n".encode())
        digest.update(plain.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
