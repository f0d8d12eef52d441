"""Configure the training loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from ...errors import OptionError
from ...options import check_options, check_value, option


class MixedPrecision(str, Enum):
    """Autocast dtype. The weights and their averages stay in float32."""

    NONE = "none"
    BF16 = "bf16"
    FP16 = "fp16"  # for GPUs without bfloat16; loss scaling keeps small gradients from underflowing


@dataclass(frozen=True)
class LoopConfig:
    """Configuration of the loop, which uses Adam with a linear warm-up and a cosine decay to 5 % of the peak learning rate.

    Raises OptionError for values out of range.
    """

    steps: int = field(metadata={"description": "number of training steps"})
    minutes: float | None = option(
        None,
        "approximate maximum duration without validation and checkpoints; after 50 steps, their speed limits the number of steps; "
        "null: no limit",
    )
    batch_size: int = option(8, "samples per step, over all processes and accumulation steps", low=1)
    learning_rate: float = option(2e-4, "peak learning rate of Adam", low=0)
    betas: tuple[float, float] = option(
        (0.9, 0.999), "Adam's decay rates of the first and second moments, 0 to below 1"
    )
    warmup_steps: int = option(50, "number of steps with a linearly rising learning rate", low=0)
    ema_decay: float = option(
        0.995, "decay of the moving average of the weights, from 0 (no averaging) to below 1; the average is the result"
    )
    mixed_precision: MixedPrecision = option(
        MixedPrecision.BF16, "autocast dtype: bf16, fp16 (for GPUs without bfloat16), or none (float32)"
    )
    seed: int = option(0, "random seed of the samples and the initial weights", low=0, high=2**64 - 1)
    accumulation_steps: int = option(
        1, "number of parts of a batch for gradient accumulation, which saves memory", low=1
    )
    workers: int | None = option(
        None,
        "number of sample workers per process; null: 0 on a CPU, else up to 8",
        low=0,
        high=1024,
    )
    log_every: int = option(20, "number of steps between rows of log.csv", low=1)
    checkpoint_every: int = option(200, "number of steps between checkpoints", low=1)
    validate_every: int = option(400, "number of steps between rows of validation.csv", low=1)

    def __post_init__(self) -> None:
        check_options(self)
        check_value("steps", self.steps, int, low=1)
        if self.minutes is not None and not self.minutes > 0:
            raise OptionError(f"minutes must be positive, got {self.minutes}.")
        if not self.learning_rate > 0:
            raise OptionError(f"learning_rate must be positive, got {self.learning_rate}.")
        if not all(0 <= decay < 1 for decay in (*self.betas, self.ema_decay)):
            raise OptionError(f"betas and ema_decay must lie in [0, 1), got {self.betas} and {self.ema_decay}.")
