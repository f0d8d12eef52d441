"""Grow a network: initialize it with the weights of a smaller network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..errors import OptionError
from ..networks.parse_net import ParseNet
from ..networks.psfr_generator import PsfrGenerator


@torch.no_grad()
def grow_generator(network: PsfrGenerator, smaller: PsfrGenerator) -> None:
    """Copy the weights of ``smaller`` into ``network`` in place. ``network`` may have more fine stages and wider layers.

    New channels have no effect at first, so the outputs of the old stages do not change. A new stage at first upsamples the
    old output by 2. A residual network that starts from one without residual at first returns its degraded input.
    Raises OptionError if a part of ``smaller`` is larger than in ``network`` or missing there, or if a new stage has fewer than
    three channels.
    """
    config, smaller_config = network.config, smaller.config
    initial = smaller.state_dict()
    for stage in range(len(smaller_config.channels) - 1, len(config.channels) - 1):  # new stages of the body
        channels = config.channels[stage + 1]
        initial |= {
            f"body.{stage}.1.weight": initial["img_out.weight"],
            f"body.{stage}.1.bias": initial["img_out.bias"],
            f"body.{stage}.2.conv_1.weight": torch.zeros(channels, channels, 3, 3),
            f"body.{stage}.2.conv_1.bias": torch.zeros(channels),
            "img_out.weight": nn.init.dirac_(torch.empty(3, channels, 3, 3)),
            "img_out.bias": torch.zeros(3),
        }
    if not _fits(initial, network):
        raise OptionError(
            f"A generator of {config} cannot start from a generator of {smaller_config}: its stages must be at least as wide, new "
            "stages need at least 3 channels, and it must be residual if the smaller generator is residual."
        )
    _copy(initial, network)
    if config.residual and not smaller_config.residual:
        network.get_parameter("img_out.weight").zero_()
        network.get_parameter("img_out.bias").zero_()


@torch.no_grad()
def grow_parse_net(network: ParseNet, smaller: ParseNet) -> None:
    """Copy the weights of ``smaller`` into ``network`` in place. ``network`` may have wider layers.

    New channels have no effect at first, so the output does not change. Raises OptionError if the networks differ in their numbers
    of stages or residual blocks, or if a stage of ``smaller`` is wider.
    """
    initial = smaller.state_dict()
    if initial.keys() != network.state_dict().keys() or not _fits(initial, network):
        raise OptionError(
            f"A parsing network of {network.config} cannot start from a parsing network of {smaller.config}: it must have as many "
            "stages and residual blocks, and its stages must be at least as wide."
        )
    _copy(initial, network)


def _fits(initial: Mapping[str, Tensor], network: nn.Module) -> bool:
    state = network.state_dict()
    return all(name in state and _is_within(value.shape, state[name].shape) for name, value in initial.items())


def _is_within(small: torch.Size, large: torch.Size) -> bool:
    return len(small) == len(large) and all(one <= other for one, other in zip(small, large, strict=True))


def _copy(initial: Mapping[str, Tensor], network: nn.Module) -> None:
    """Copy ``initial`` into the first channels of the layers of ``network``. The convolutions ignore new input channels."""
    state = network.state_dict()
    for name, value in initial.items():
        if value.dim() == 4 and name != "const_input":
            state[name][:, value.shape[1] :] = 0
        state[name][tuple(slice(size) for size in value.shape)] = value
