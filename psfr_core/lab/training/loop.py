"""The training loop: one loop for all networks, over any number of processes, resumable, with averaged weights."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.optim import Adam
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ...errors import TrainingError
from ...networks.spectral_norm import has_spectral_norm
from ...progress import Progress
from .acceleration import make_accelerator
from .batches import ShardedBatchSampler, load_batches
from .checkpoint import Stateful, load_checkpoint, save_checkpoint
from .loop_config import LoopConfig
from .run_folder import CHECKPOINT, LOG, VALIDATION, append_row, drop_rows_after
from .task import N, TrainingTask
from .tensorboard import TensorBoardWriter, open_tensorboard

if TYPE_CHECKING:
    from accelerate import Accelerator

logger = logging.getLogger(__name__)
MAX_GRADIENT_NORM = 10.0  # stops rare outliers from undoing much


def train(
    task: TrainingTask[N],
    config: LoopConfig,
    folder: Path,
    *,
    accelerator: Accelerator | None = None,
    progress: Progress | None = None,
) -> N:
    """Return the averaged network after ``config.steps`` steps, resumed from ``folder`` when a checkpoint is there.

    ``folder`` receives ``log.csv``, ``validation.csv``, ``checkpoint.pt`` and ``tensorboard``. In a launch of several processes
    each calls this with the same arguments, and all must see the same folder.
    """
    # Start
    accelerator = accelerator or make_accelerator(config, task.device)
    is_main, network = accelerator.is_main_process, task.network
    if is_main:
        folder.mkdir(parents=True, exist_ok=True)
    ours = {"params": [*network.parameters()], "lr": config.learning_rate, "betas": config.betas}
    objective, optimizer = accelerator.prepare(task.train(), Adam([ours, *task.discriminator_parameters()]))
    # Batch norm's statistics are averaged too; the unit vectors of spectral norm, no longer of length 1 then, are not.
    average = get_ema_multi_avg_fn(config.ema_decay)
    averaged = AveragedModel(network, multi_avg_fn=average, use_buffers=not has_spectral_norm(network))
    parts: dict[str, Stateful] = {"task": task, "averaged": averaged, "optimizer": optimizer}
    if accelerator.scaler is not None:
        parts["scaler"] = accelerator.scaler
    saved = begun = _resume(folder, parts, accelerator)
    if begun > config.steps:
        raise TrainingError(
            f"The run in {folder} has done {begun} steps already, more than the {config.steps} asked for. "
            "Ask for as many or more, or choose another run folder."
        )
    sampler = ShardedBatchSampler(
        range(begun, config.steps),
        config.batch_size,
        config.accumulation_steps,
        accelerator.num_processes,
        accelerator.process_index,
    )
    batches = load_batches(task.samples, sampler, config.workers, accelerator.device)
    # Whether all has been finite so far. It is looked at now and then, because a look waits for the GPU.
    is_sound = torch.ones((), dtype=torch.bool, device=accelerator.device)
    started = time.monotonic()

    try:
        with open_tensorboard(folder, begun) if is_main else nullcontext(TensorBoardWriter(None)) as board:
            for step in range(begun + 1, config.steps + 1):
                # Update
                optimizer.param_groups[0]["lr"] = config.learning_rate * learning_rate_factor(step - 1, config)
                is_last = step == config.steps
                is_logged, is_validated, is_saved = (
                    is_last or step % every == 0
                    for every in (config.log_every, config.validate_every, config.checkpoint_every)
                )
                losses: list[dict[str, Tensor]] = []
                for _ in range(config.accumulation_steps):
                    with accelerator.accumulate(objective):
                        losses.append(objective(next(batches), step - 1))
                        loss = _minimized(losses[-1])
                        accelerator.backward(loss)
                        is_sound &= loss.detach().isfinite()
                        if accelerator.sync_gradients:
                            is_sound &= _clip_gradients(task, accelerator)
                        optimizer.step()
                        optimizer.zero_grad()
                averaged.update_parameters(network)

                # Report
                if is_logged or is_validated or is_saved:
                    _check_sound(is_sound, step)
                if is_logged:
                    values = _mean_of(losses, accelerator)
                    if is_main:
                        seconds = round(time.monotonic() - started, 1)
                        append_row(folder / LOG, {"step": step, "seconds": seconds, **values})
                        rate = optimizer.param_groups[0]["lr"]
                        board.curves("training", step, {**values, "learning_rate": rate})
                if is_main and is_validated:
                    _validate(task, cast("N", averaged.module), step, folder, board)
                if is_saved:
                    if is_main:
                        save_checkpoint(folder / CHECKPOINT, step, parts)
                    saved = step
                if progress is not None:
                    progress(step, config.steps)
    except KeyboardInterrupt:
        if is_main:
            logger.warning("Interrupted. %s", _how_to_go_on(folder, saved))
        raise
    return cast("N", averaged.module.eval())


def learning_rate_factor(step: int, config: LoopConfig) -> float:
    """The learning rate at ``step`` as a fraction of the configured one."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(config.steps - config.warmup_steps, 1)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def _resume(folder: Path, parts: Mapping[str, Stateful], accelerator: Accelerator) -> int:
    """The step to go on from, the same in all processes."""
    step = load_checkpoint(folder / CHECKPOINT, parts)
    steps = cast("Tensor", accelerator.gather(torch.tensor([step], device=accelerator.device))).tolist()
    if set(steps) != {step}:
        raise TrainingError(
            f"The processes find checkpoints of different steps in {folder}: {steps}. "
            "The run folder must be on a disk that all machines share."
        )
    if accelerator.is_main_process:
        drop_rows_after(folder / LOG, step)
        drop_rows_after(folder / VALIDATION, step)
        if step:
            logger.info("resumed at step %d from %s", step, folder / CHECKPOINT)
    return step


def _minimized(losses: Mapping[str, Tensor]) -> Tensor:
    return losses["total"] + losses["discriminator"] if "discriminator" in losses else losses["total"]


def _clip_gradients(task: TrainingTask[N], accelerator: Accelerator) -> Tensor:
    """Whether the gradients are finite."""
    norm = torch.as_tensor(accelerator.clip_grad_norm_(task.network.parameters(), MAX_GRADIENT_NORM))
    # In fp16 they may overflow: the scaler leaves that step out, and scales less from then on.
    return norm.isfinite() if accelerator.scaler is None else torch.ones_like(norm, dtype=torch.bool)


def _check_sound(is_sound: Tensor, step: int) -> None:
    if not bool(is_sound):
        raise TrainingError(
            f"A loss or its gradients are no longer finite, at step {step} or just before: lower the learning rate."
        )


def _mean_of(losses: Sequence[Mapping[str, Tensor]], accelerator: Accelerator) -> dict[str, float]:
    """Each loss over all samples of a step, of all its parts and processes."""
    means = {name: torch.stack([part[name].detach().float() for part in losses]).mean() for name in losses[0]}
    return {name: float(value) for name, value in accelerator.reduce(means, "mean").items()}


def _validate(task: TrainingTask[N], network: N, step: int, folder: Path, board: TensorBoardWriter) -> None:
    figures = task.validate(network.eval())
    append_row(folder / VALIDATION, {"step": step, **figures})
    logger.info("step %d: %s", step, ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))
    board.curves("validation", step, figures)
    board.picture(step, task.picture(network))


def _how_to_go_on(folder: Path, saved: int) -> str:
    if not saved:
        return "There is no checkpoint yet: the same command begins anew."
    return f"The checkpoint in {folder} is of step {saved}: the same command goes on from there."
