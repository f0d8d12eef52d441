"""Settings of a training run, saved beside its results."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import OptionError


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast to train: Adam with a linear warm-up and a cosine decay to a twentieth of the rate."""

    steps: int
    batch_size: int = 8
    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.9, 0.999)
    warmup_steps: int = 50
    ema_decay: float = 0.995
    bf16: bool = True  # autocast of the forward passes
    seed: int = 0
    log_every: int = 20
    checkpoint_every: int = 200
    validate_every: int = 400

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "log_every", "checkpoint_every", "validate_every"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if not self.learning_rate > 0 or not 0 <= self.ema_decay < 1:
            raise OptionError(
                f"learning_rate must be positive and ema_decay in [0, 1), got {self.learning_rate} and {self.ema_decay}."
            )
