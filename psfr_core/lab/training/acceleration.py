"""Set up multiple processes and mixed precision with Hugging Face accelerate."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch

from ...errors import OptionError
from ...networks.inference.optimize import cpu_has_fast_bfloat16
from ...optional_package import import_optional
from .loop_config import LoopConfig, MixedPrecision

if TYPE_CHECKING:
    from accelerate import Accelerator

logger = logging.getLogger(__name__)


def make_accelerator(config: LoopConfig, device: torch.device) -> Accelerator:
    """Return the accelerator of this process on ``device``, or on a GPU of its own if several processes were launched.

    Raises MissingPackageError if accelerate is not installed. Raises OptionError if the device does not support the
    precision, or if the batch size is not divisible by the number of processes times the accumulation steps.
    """
    accelerate = import_optional("accelerate", "Training", "accelerate")
    if str(device).startswith("cuda:"):  # accelerate uses the current device
        torch.cuda.set_device(device)
    # without a reset, all runs of a process would use the device of the first run
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    on_cpu = device.type == "cpu"
    if on_cpu and config.mixed_precision is MixedPrecision.FP16:
        raise OptionError("A CPU cannot train in fp16. Choose bf16 or none as mixed precision.")
    if on_cpu and config.mixed_precision is MixedPrecision.BF16 and not cpu_has_fast_bfloat16():
        logger.warning(
            "This CPU emulates bf16, which is several times slower than float32. Set loop.mixed_precision to none."
        )
    try:
        accelerator: Accelerator = accelerate.Accelerator(
            cpu=on_cpu,
            mixed_precision="no" if config.mixed_precision is MixedPrecision.NONE else config.mixed_precision.value,
            gradient_accumulation_steps=config.accumulation_steps,
        )
    except ValueError as error:
        raise OptionError(
            f"{device} cannot train in {config.mixed_precision.value} ({error}). Choose another mixed precision."
        ) from error
    parts = accelerator.num_processes * config.accumulation_steps
    if config.batch_size % parts:
        raise OptionError(
            f"batch_size {config.batch_size} must be divisible by {parts}, the number of processes "
            f"({accelerator.num_processes}) times the accumulation steps ({config.accumulation_steps})."
        )
    return accelerator
