"""The training loop: one loop for all networks, resumable, with averaged weights."""

from __future__ import annotations

import csv
import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..errors import TrainingError
from .config import LoopConfig

logger = logging.getLogger(__name__)
MAX_GRADIENT_NORM = 10.0  # stops rare outliers from undoing much
Progress = Callable[[int, int], None]  # step done, steps in all


N = TypeVar("N", bound=nn.Module)


class Stateful(Protocol):
    """What a checkpoint can hold: a network or an optimizer."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Any) -> object: ...


class Trainee(Protocol[N]):
    """A network being trained: what differs between detector, parser and generator."""

    network: N
    device: torch.device
    companions: dict[str, Stateful]  # what is trained along, and belongs into a checkpoint

    def losses(self, indices: range) -> dict[str, Tensor]:
        """Named loss terms of the samples at ``indices``; ``total`` is minimised, the others are logged."""
        ...

    def validate(self, network: N) -> dict[str, float]:
        """Named figures of ``network`` on data not trained on."""
        ...


def train(trainee: Trainee[N], config: LoopConfig, folder: Path, progress: Progress | None = None) -> N:
    """The averaged network after ``config.steps`` steps, resumed from ``folder`` when a checkpoint is there.

    ``folder`` receives ``config.json``, ``log.csv``, ``validation.csv`` and ``checkpoint.pt``.
    """
    # Start
    folder.mkdir(parents=True, exist_ok=True)
    _write_config(folder, config)
    network = trainee.network.train()
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay), use_buffers=True)
    optimizer = Adam(network.parameters(), lr=config.learning_rate, betas=config.betas)
    schedule = LambdaLR(optimizer, lambda step: learning_rate_factor(step, config))
    step = _resume(folder, trainee, averaged, optimizer, schedule)
    started = time.monotonic()

    while step < config.steps:
        # Update
        indices = range(step * config.batch_size, (step + 1) * config.batch_size)
        with torch.autocast(trainee.device.type, torch.bfloat16, enabled=config.bf16):
            losses = trainee.losses(indices)
        optimizer.zero_grad(set_to_none=True)
        if not bool(losses["total"].isfinite()):
            raise TrainingError(f"The loss is {losses['total'].item()} at step {step}: lower the learning rate.")
        losses["total"].backward()
        _clip_gradients(network, step)
        optimizer.step()
        schedule.step()
        averaged.update_parameters(network)
        step += 1

        # Report
        if step % config.log_every == 0 or step == config.steps:
            values = {name: float(value.detach()) for name, value in losses.items()}
            _append(folder / "log.csv", {"step": step, "seconds": round(time.monotonic() - started, 1), **values})
        if step % config.validate_every == 0 or step == config.steps:
            figures = trainee.validate(cast("N", averaged.module.eval()))
            _append(folder / "validation.csv", {"step": step, **figures})
            logger.info("step %d: %s", step, ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))
        if step % config.checkpoint_every == 0 or step == config.steps:
            _save(folder, step, trainee, averaged, optimizer, schedule)
        if progress is not None:
            progress(step, config.steps)
    return cast("N", averaged.module.eval())


def _clip_gradients(network: nn.Module, step: int) -> None:
    try:
        nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT_NORM, error_if_nonfinite=True)
    except RuntimeError as error:
        raise TrainingError(f"The gradients are not finite at step {step}: lower the learning rate.") from error


def learning_rate_factor(step: int, config: LoopConfig) -> float:
    """The learning rate at ``step`` as a fraction of the configured one."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(config.steps - config.warmup_steps, 1)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def _save(
    folder: Path, step: int, trainee: Trainee[N], averaged: nn.Module, optimizer: Optimizer, schedule: LambdaLR
) -> None:
    checkpoint = {
        "step": step,
        "network": trainee.network.state_dict(),
        "averaged": averaged.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "companions": {name: companion.state_dict() for name, companion in trainee.companions.items()},
    }
    unfinished = folder / "checkpoint.tmp"
    torch.save(checkpoint, unfinished)
    unfinished.replace(folder / "checkpoint.pt")


def _resume(folder: Path, trainee: Trainee[N], averaged: nn.Module, optimizer: Optimizer, schedule: LambdaLR) -> int:
    path = folder / "checkpoint.pt"
    if not path.exists():
        return 0
    checkpoint = torch.load(path, map_location=trainee.device, weights_only=True)
    shapes = {key: value.shape for key, value in trainee.network.state_dict().items()}
    if shapes != {key: value.shape for key, value in checkpoint["network"].items()} or set(
        checkpoint["companions"]
    ) != set(trainee.companions):
        raise TrainingError(f"{path} belongs to a run of other networks. Choose another run folder, or delete it.")
    trainee.network.load_state_dict(checkpoint["network"])
    averaged.load_state_dict(checkpoint["averaged"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    schedule.load_state_dict(checkpoint["schedule"])
    for name, companion in trainee.companions.items():
        companion.load_state_dict(checkpoint["companions"][name])
    logger.info("resumed at step %d from %s", checkpoint["step"], path)
    return checkpoint["step"]


def _write_config(folder: Path, config: LoopConfig) -> None:
    (folder / "config.json").write_text(json.dumps(asdict(config), indent=2) + "\n")


def _append(path: Path, row: Mapping[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow({name: f"{value:.6g}" for name, value in row.items()})
