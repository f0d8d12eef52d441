"""Networks through ``torch.compile``, for GPUs."""

from __future__ import annotations

import logging
from typing import TypeVar

import torch
from torch import Tensor

from ...errors import PsfrError, is_out_of_memory
from ..parse_net import ParseNet
from ..psfr_generator import PsfrGenerator

logger = logging.getLogger(__name__)
N = TypeVar("N", PsfrGenerator, ParseNet)


def compile_for_inference(network: N) -> N:
    """``network``, compiled when it is next called, once for each input shape, with CUDA graphs where there are any.

    Where compiling fails, for want of a compiler for one, a warning says so and it runs as it was. Out of memory is not such a
    failure: it is raised. For GPUs: on a CPU the optimized networks are faster as they are.
    """
    method = "parse_logits" if isinstance(network, ParseNet) else "forward"  # what inference calls
    plain = getattr(network, method)
    compiled = torch.compile(plain, mode="reduce-overhead", dynamic=False)

    def run(*inputs: Tensor) -> Tensor:
        try:
            return compiled(*inputs).clone()  # a CUDA graph writes its next result over this one
        except Exception as error:
            if isinstance(error, PsfrError) or is_out_of_memory(error):
                raise
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            logger.warning("torch.compile failed, %s runs as it is: %s", type(network).__name__, reason)
            setattr(network, method, plain)
            return plain(*inputs)

    setattr(network, method, run)
    return network
