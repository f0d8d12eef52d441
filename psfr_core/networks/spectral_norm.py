"""Apply spectral normalization with the names of the published state dict."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

N = TypeVar("N", bound=nn.Module)


def add_spectral_norm(network: N) -> N:
    """Apply spectral normalization to all convolutions of ``network`` in place, and return ``network``.

    Each convolution gets the parameter ``weight_orig`` and the buffers ``weight_u`` and ``weight_v``.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.utils.spectral_norm(module)
    return network


def has_spectral_norm(network: nn.Module) -> bool:
    """Return whether ``add_spectral_norm`` was applied to ``network``."""
    return any(name.endswith("weight_u") for name, _ in network.named_buffers())
