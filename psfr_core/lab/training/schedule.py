"""Decide the number of steps of a run, and the learning rate of each step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from .loop_config import LoopConfig

FINAL_LEARNING_RATE_FACTOR = 0.05
SPEED_STEPS = range(25, 50)  # steps after the start of which the speed is measured; earlier ones are slower


class Schedule:
    """Number of steps of a run, and the learning rates: a linear warm-up, followed by a cosine decay.

    ``steps`` is at first ``config.steps``. With ``config.minutes``, ``limit`` lowers it once. Checkpoints keep it.
    """

    def __init__(self, config: LoopConfig) -> None:
        self._config = config
        self.steps = config.steps
        self.is_final = config.minutes is None

    def limit(self, steps: int) -> None:
        """Lower the number of steps to ``steps``."""
        self.steps = min(self.steps, steps)
        self.is_final = True

    def steps_after(self, first: int) -> Iterator[int]:
        """Yield the numbers of the steps after step ``first``, counted from 1. The last one may change meanwhile."""
        step = first
        while step < self.steps:
            step += 1
            yield step

    def learning_rate_factor(self, step: int) -> float:
        """Return the learning rate of the step number ``step``, counted from 1, as a fraction of the peak rate."""
        warmup = self._config.warmup_steps
        if step <= warmup:
            return step / warmup
        done = (step - 1 - warmup) / max(self.steps - warmup, 1)
        cosine = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
        return FINAL_LEARNING_RATE_FACTOR + (1 - FINAL_LEARNING_RATE_FACTOR) * cosine

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "is_final": self.is_final}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.steps, self.is_final = int(state_dict["steps"]), bool(state_dict["is_final"])
