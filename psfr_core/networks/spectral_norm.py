"""Spectral normalization under the published names."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

N = TypeVar("N", bound=nn.Module)


def add_spectral_norm(network: N) -> N:
    """The same ``network`` with every convolution spectrally normalized (``weight_orig``, ``weight_u``, ``weight_v``)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.utils.spectral_norm(module)
    return network


def has_spectral_norm(network: nn.Module) -> bool:
    """Whether a layer of ``network`` is spectrally normalized so."""
    return any(name.endswith("weight_u") for name, _ in network.named_buffers())
