"""Settings of a training run, saved beside its results."""

from __future__ import annotations

from dataclasses import dataclass

from ..described import described
from ..errors import OptionError


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast to train: Adam with a linear warm-up and a cosine decay to a twentieth of the rate."""

    steps: int
    batch_size: int = described(8, "samples a step")
    learning_rate: float = described(2e-4, "Adam's, at its highest")
    betas: tuple[float, float] = described((0.9, 0.999), "Adam's")
    warmup_steps: int = described(50, "steps in which the learning rate rises")
    ema_decay: float = described(0.995, "of the averaged weights, which are the result")
    bf16: bool = described(True, "compute losses in bfloat16 where that is safe")
    seed: int = described(0, "of the samples")
    log_every: int = described(20, "steps between rows of log.csv")
    checkpoint_every: int = described(200, "steps between checkpoints")
    validate_every: int = described(400, "steps between rows of validation.csv")

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "log_every", "checkpoint_every", "validate_every"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if not self.learning_rate > 0 or not 0 <= self.ema_decay < 1:
            raise OptionError(
                f"learning_rate must be positive and ema_decay in [0, 1), got {self.learning_rate} and {self.ema_decay}."
            )
