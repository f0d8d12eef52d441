"""Settings of a training run, saved beside its results."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..described import described
from ..errors import OptionError


class MixedPrecision(str, Enum):
    """The type that losses are computed in where that is safe; weights and their averages stay in float32."""

    NONE = "none"
    BF16 = "bf16"
    FP16 = "fp16"  # for GPUs that know no bfloat16; losses are scaled so that small gradients do not vanish


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast to train: Adam with a linear warm-up and a cosine decay to a twentieth of the rate."""

    steps: int
    batch_size: int = described(8, "samples a step, of all processes together")
    learning_rate: float = described(2e-4, "Adam's, at its highest")
    betas: tuple[float, float] = described((0.9, 0.999), "Adam's")
    warmup_steps: int = described(50, "steps in which the learning rate rises")
    ema_decay: float = described(0.995, "of the averaged weights, which are the result")
    mixed_precision: MixedPrecision = described(MixedPrecision.BF16, "type to compute losses in where that is safe")
    seed: int = described(0, "of the samples, and of the weights to begin with")
    accumulation_steps: int = described(1, "parts a step's samples go through the network in, to need less memory")
    workers: int | None = described(
        None,
        "processes that make samples, for each that trains; none: 0 on a CPU, which makes them in between, else up to 8",
    )
    log_every: int = described(20, "steps between rows of log.csv")
    checkpoint_every: int = described(200, "steps between checkpoints")
    validate_every: int = described(400, "steps between rows of validation.csv")

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulation_steps", "log_every", "checkpoint_every", "validate_every"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.workers is not None and self.workers < 0:
            raise OptionError(f"workers must not be negative, got {self.workers}.")
        if not self.learning_rate > 0:
            raise OptionError(f"learning_rate must be positive, got {self.learning_rate}.")
        if not all(0 <= decay < 1 for decay in (*self.betas, self.ema_decay)):
            raise OptionError(f"betas and ema_decay must lie in [0, 1), got {self.betas} and {self.ema_decay}.")
