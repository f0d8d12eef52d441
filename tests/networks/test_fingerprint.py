"""Fingerprints of networks."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from psfr_core.networks.fingerprint import fingerprint


def test_a_fingerprint_depends_on_names_values_and_dtype_alone() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    same = copy.deepcopy(network).to(memory_format=torch.channels_last)
    assert fingerprint(same) == fingerprint(network)
    assert len(fingerprint(network)) == 64
    changed = copy.deepcopy(network)
    changed[1].running_mean[2] += 1e-6  # type: ignore[index, operator]
    renamed = nn.Sequential(nn.Identity(), *copy.deepcopy(network))
    others = [changed, renamed, copy.deepcopy(network).bfloat16(), copy.deepcopy(network).half()]
    assert len({fingerprint(other) for other in [network, *others]}) == 5


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="needs oneDNN")
def test_weights_that_are_packed_for_the_processor_have_fingerprints() -> None:
    network = nn.Conv2d(3, 8, 3)
    packed = copy.deepcopy(network)
    packed.weight = nn.Parameter(network.weight.detach().to_mkldnn(), requires_grad=False)
    assert fingerprint(packed) == fingerprint(network)
