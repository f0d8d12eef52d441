"""Decide the number of steps of a run, and the learning rate of each step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from .loop_config import LoopConfig

FINAL_LEARNING_RATE_FACTOR = 0.05
SPEED_STEPS = range(
    25, 50
)  # the speed is measured from the end of step 25 to the end of step 50; earlier steps are slower


class Schedule:
    """Number of steps of a run, and the learning rates: a linear warm-up, followed by a cosine decay.

    ``limit`` is the number of steps that fit into ``config.minutes``, or None until the speed is known. Checkpoints contain it.
    """

    def __init__(self, config: LoopConfig) -> None:
        self._config = config
        self.limit: int | None = None

    @property
    def steps(self) -> int:
        """Number of all steps."""
        return self._config.steps if self.limit is None else min(self._config.steps, self.limit)

    def steps_after(self, first: int) -> Iterator[int]:
        """Yield the numbers of the steps after step ``first`` until ``steps``, which may be lowered meanwhile."""
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
        return {"limit": self.limit}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.limit = state_dict["limit"]
