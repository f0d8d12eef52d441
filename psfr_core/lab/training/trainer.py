"""Carry out optimization steps: gradients, clipping, Adam, and the moving average of the weights."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, cast

import torch
from torch import Tensor
from torch.optim import Adam
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ...errors import TrainingError
from ...networks.spectral_norm import has_spectral_norm
from .checkpoint import Stateful
from .loop_config import LoopConfig
from .schedule import SPEED_STEPS, Schedule
from .task import N, TrainingTask

if TYPE_CHECKING:
    from accelerate import Accelerator

MAX_GRADIENT_NORM = 10.0  # limits the effect of rare outliers


class Trainer(Generic[N]):
    """Training task with its optimizer and the moving average of the network's weights.

    If there are several processes, each has its own trainer, and all must call ``update`` and ``mean_losses`` for the same
    steps.
    """

    def __init__(self, task: TrainingTask[N], config: LoopConfig, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self.schedule = Schedule(config)
        self._task = task
        self._config = config
        network_group = {"params": [*task.network.parameters()], "lr": config.learning_rate, "betas": config.betas}
        optimizer = Adam([network_group, *task.discriminator_parameters()])
        self._objective, self._optimizer = accelerator.prepare(task.train(), optimizer)
        # Buffers such as batch norm statistics are averaged as well, except in networks with spectral norm, whose buffers are unit
        # vectors: their mean would be shorter.
        self._averaged = AveragedModel(
            task.network,
            multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay),
            use_buffers=not has_spectral_norm(task.network),
        )
        self._speed_start = 0.0
        # reading this flag waits for the GPU, so it is read only before results are written
        self._is_finite = torch.ones((), dtype=torch.bool, device=accelerator.device)

    @property
    def averaged_network(self) -> N:
        """Copy of the network with averaged weights."""
        return cast("N", self._averaged.module)

    @property
    def learning_rate(self) -> float:
        """Current learning rate of the network, which may differ from that of the discriminator."""
        return self._optimizer.param_groups[0]["lr"]

    def checkpoint_parts(self) -> dict[str, Stateful]:
        """Return all parts whose state changes during a run."""
        parts: dict[str, Stateful] = {"task": self._task, "averaged": self._averaged, "optimizer": self._optimizer}
        if self._config.minutes is not None:
            parts["schedule"] = self.schedule
        if self.accelerator.scaler is not None:
            parts["scaler"] = self.accelerator.scaler
        return parts

    def update(self, batches: Iterator[Any], step: int) -> list[dict[str, Tensor]]:
        """Carry out the step number ``step``, counted from 1, and return the losses of each accumulated batch."""
        rate = self._config.learning_rate * self.schedule.learning_rate_factor(step)
        self._optimizer.param_groups[0]["lr"] = rate
        losses: list[dict[str, Tensor]] = []
        for _ in range(self._config.accumulation_steps):
            with self.accelerator.accumulate(self._objective):
                losses.append(self._objective(next(batches), step - 1))
                loss = _objective_loss(losses[-1])
                self.accelerator.backward(loss)
                self._is_finite &= loss.detach().isfinite()
                if self.accelerator.sync_gradients:
                    self._is_finite &= self._clip_gradients()
                self._optimizer.step()
                self._optimizer.zero_grad()
        self._averaged.update_parameters(self._task.network)
        return losses

    def keep_time_limit(self, step: int, first: int) -> None:
        """Limit the number of steps so that training ends after about ``minutes``. Call this after each step.

        ``first`` is the number of steps before this start. All processes use the same limit.
        """
        minutes, done = self._config.minutes, step - first
        if minutes is None or self.schedule.limit is not None:
            return
        if done == SPEED_STEPS.start:
            self._wait_for_device()
            self._speed_start = time.monotonic()
        elif done == SPEED_STEPS.stop:
            self._wait_for_device()
            seconds = (time.monotonic() - self._speed_start) / len(SPEED_STEPS)
            limit = first + min(60 * minutes / seconds, self._config.steps)
            limits = self.accelerator.gather(torch.tensor([max(int(limit), step)], device=self.accelerator.device))
            self.schedule.limit = int(cast("Tensor", limits)[0])

    def check_finite(self, step: int) -> None:
        """Raise TrainingError if a loss, or a gradient of the network, was infinite or NaN at any step up to ``step``.

        Gradients are not checked in float16, because the gradient scaler skips steps whose gradients are infinite or NaN.
        """
        if not bool(self._is_finite):
            raise TrainingError(
                f"A loss or its gradients became infinite or NaN at step {step} or shortly before. Lower the learning rate."
            )

    def mean_losses(self, losses: Sequence[Mapping[str, Tensor]]) -> dict[str, float]:
        """Return the mean of each loss over all accumulated batches and processes."""
        means = {name: torch.stack([part[name].detach().float() for part in losses]).mean() for name in losses[0]}
        return {name: float(value) for name, value in self.accelerator.reduce(means, "mean").items()}

    def _wait_for_device(self) -> None:
        bool(self._is_finite)  # reading a value waits for the GPU

    def _clip_gradients(self) -> Tensor:
        """Clip the gradients of the network, and return as a bool tensor whether they were finite (always true with a scaler)."""
        parameters = self._task.network.parameters()
        norm = torch.as_tensor(self.accelerator.clip_grad_norm_(parameters, MAX_GRADIENT_NORM))
        # if gradients overflow in fp16, the scaler skips the step and lowers its scale
        return norm.isfinite() if self.accelerator.scaler is None else torch.ones_like(norm, dtype=torch.bool)


def _objective_loss(losses: Mapping[str, Tensor]) -> Tensor:
    return losses["total"] + losses["discriminator"] if "discriminator" in losses else losses["total"]
