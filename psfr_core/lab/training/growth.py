"""Growth of generators: a larger one begins with the weights of a smaller one."""

from __future__ import annotations

import torch
from torch import nn

from ...errors import OptionError
from ...networks.psfr_generator import PsfrGenerator


@torch.no_grad()
def start_from(network: PsfrGenerator, smaller: PsfrGenerator) -> None:
    """Fill ``network`` with the weights of ``smaller``: a generator grows by stages at the fine end, and by wider layers.

    New channels of a layer have no effect at first, so each old stage gives what it gave. A new stage begins by passing on the
    old output, doubled in size. A residual network that starts from a plain one begins with the low-quality face itself. Raises
    OptionError where ``smaller`` is larger in any part, or a new stage has fewer than the three channels of an image.
    """
    ours, theirs = network.config, smaller.config
    state, begun = network.state_dict(), smaller.state_dict()
    for stage in range(len(theirs.channels) - 1, len(ours.channels) - 1):  # those of the body that are new
        channels = ours.channels[stage + 1]
        begun |= {
            f"body.{stage}.1.weight": begun["img_out.weight"],
            f"body.{stage}.1.bias": begun["img_out.bias"],
            f"body.{stage}.2.conv_1.weight": torch.zeros(channels, channels, 3, 3),
            f"body.{stage}.2.conv_1.bias": torch.zeros(channels),
            "img_out.weight": nn.init.dirac_(torch.empty(3, channels, 3, 3)),
            "img_out.bias": torch.zeros(3),
        }
    if not all(name in state and _is_within(value.shape, state[name].shape) for name, value in begun.items()):
        raise OptionError(
            f"A generator of {ours} cannot start from one of {theirs}: its stages must be as wide or wider, new ones of 3 channels "
            "or more, and it must be residual if that one is."
        )
    for name, value in begun.items():
        if value.dim() == 4 and name != "const_input":
            state[name][:, value.shape[1] :] = 0
        state[name][tuple(slice(size) for size in value.shape)] = value
    if ours.residual and not theirs.residual:
        state["img_out.weight"].zero_()
        state["img_out.bias"].zero_()


def _is_within(small: torch.Size, large: torch.Size) -> bool:
    return len(small) == len(large) and all(one <= other for one, other in zip(small, large, strict=True))
