"""Measure training steps in different memory formats and precisions, with and without compilation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from ...networks.psfr_generator import GeneratorConfig, PsfrGenerator
from .measure import Measurement, Work, compare

_BATCH = 4


def training_steps(
    config: GeneratorConfig, lq: torch.Tensor, one_hot: torch.Tensor, repeats: int
) -> Iterator[Measurement]:
    """Compare three variants of a training step with a plain step.

    The first variant uses channels_last, the second adds bfloat16 autocast, and the third adds torch.compile. If
    torch.compile fails, the seconds of the third variant are NaN. ``lq`` (1, 3, S, S) and ``one_hot`` (1, 19, S, S) are the
    generator's inputs for one face, and a step uses four copies of them.
    """
    lq, one_hot = lq.repeat(_BATCH, 1, 1, 1), one_hot.repeat(_BATCH, 1, 1, 1)
    plain = _step(config, lq, one_hot)
    yield compare("channels_last", _step(config, lq, one_hot, is_channels_last=True), "plain step", plain, repeats)
    autocast = _step(config, lq, one_hot, is_channels_last=True, bf16=True)
    yield compare("channels_last, bfloat16 autocast", autocast, "plain step", plain, repeats)
    try:
        compiled = _step(config, lq, one_hot, is_channels_last=True, bf16=True, is_compiled=True)
        measured = compare("the same, torch.compile", compiled, "plain step", plain, repeats)
    except Exception as error:
        yield Measurement("the same, torch.compile", float("nan"), note=f"failed: {str(error).splitlines()[0]}")
    else:
        yield replace(measured, note="without compilation time")


def _step(
    config: GeneratorConfig,
    lq: torch.Tensor,
    one_hot: torch.Tensor,
    *,
    is_channels_last: bool = False,
    bf16: bool = False,
    is_compiled: bool = False,
) -> Work:
    network = PsfrGenerator(config).to(lq.device)
    if is_channels_last:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        lq = lq.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    forward = torch.compile(network) if is_compiled else network

    def work() -> None:
        with torch.autocast(lq.device.type, torch.bfloat16, enabled=bf16):
            loss = nn.functional.l1_loss(forward(lq, one_hot).float(), lq)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return work
