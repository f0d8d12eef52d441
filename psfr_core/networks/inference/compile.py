"""Compile networks with ``torch.compile`` for GPUs."""

from __future__ import annotations

import logging
from typing import TypeVar

import torch
from torch import Tensor

from ...errors import PsfrError, is_out_of_memory
from ..face_restorer import FaceRestorer
from ..parse_net import ParseNet
from ..sized_restorer import SizedRestorer

logger = logging.getLogger(__name__)
N = TypeVar("N", FaceRestorer, ParseNet)


def compile_for_inference(network: N) -> N:
    """Change ``network`` so that its next call compiles it, and return ``network``.

    It is compiled once per input shape, with CUDA graphs if available. If compilation fails, for example because no compiler is
    installed, a warning is logged, and the network runs uncompiled. Out-of-memory errors and the errors of this library are raised.
    On a CPU, the optimized networks are faster without compilation.
    """
    if isinstance(network, SizedRestorer):
        network.small, network.large = compile_for_inference(network.small), compile_for_inference(network.large)
        return network
    method = "parse_logits" if isinstance(network, ParseNet) else "forward"  # the method that inference calls
    plain = getattr(network, method)
    compiled = torch.compile(plain, mode="reduce-overhead", dynamic=False)

    def run(*inputs: Tensor) -> Tensor:
        try:
            return compiled(*inputs).clone()  # the next run of a CUDA graph overwrites its output
        except Exception as error:
            if isinstance(error, PsfrError) or is_out_of_memory(error):
                raise
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            logger.warning("torch.compile failed; %s runs uncompiled: %s", type(network).__name__, reason)
            setattr(network, method, plain)
            return plain(*inputs)

    setattr(network, method, run)
    return network
