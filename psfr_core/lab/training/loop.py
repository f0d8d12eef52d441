"""Run the resumable training loop of all networks, in one or several processes."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor

from ...errors import TrainingError
from ...progress import Progress
from .acceleration import make_accelerator
from .batches import ShardedBatchSampler, load_batches
from .checkpoint import load_checkpoint, save_checkpoint
from .loop_config import LoopConfig
from .run_folder import CHECKPOINT, LOG, VALIDATION, append_row, drop_rows_after
from .task import N, TrainingTask
from .tensorboard import TensorBoardWriter, open_tensorboard
from .trainer import Trainer

if TYPE_CHECKING:
    from accelerate import Accelerator

logger = logging.getLogger(__name__)


def train(
    task: TrainingTask[N],
    config: LoopConfig,
    folder: Path,
    *,
    accelerator: Accelerator | None = None,
    progress: Progress | None = None,
) -> N:
    """Train for ``config.steps`` steps or about ``config.minutes``, and return the averaged network in evaluation mode.

    Training resumes from the checkpoint in ``folder`` if there is one. ``log.csv``, ``validation.csv``, ``checkpoint.pt`` and
    ``tensorboard`` are written into ``folder``. If several processes are launched, each must call this function with the same
    arguments and have access to the same folder. If ``accelerator`` is None, one is made for the device of ``task``.
    After each step, ``progress`` is called with the numbers of finished and of all steps; it may raise an error to stop.
    Raises TrainingError if the checkpoint does not belong to this training, if a loss or gradient is not finite, or if a file
    cannot be written, and the errors of ``make_accelerator``.
    """
    accelerator = accelerator or make_accelerator(config, task.device)
    is_main = accelerator.is_main_process
    if is_main:
        folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(task, config, accelerator)
    saved = first = _resume(folder, trainer, config)
    schedule = trainer.schedule
    batches = _load_batches(task, range(first, schedule.steps), config, accelerator)
    started = time.monotonic()
    try:
        with open_tensorboard(folder, first) if is_main else nullcontext(TensorBoardWriter(None)) as tensorboard:
            for step in schedule.steps_after(first):
                losses = trainer.update(batches, step)
                trainer.keep_time_limit(step, first)
                due = _due_after(step, schedule.steps, config)
                if any(due):
                    trainer.check_finite(step)
                if due.log:
                    means = trainer.mean_losses(losses)  # must run in all processes
                    if is_main:
                        _log(means, step, time.monotonic() - started, trainer.learning_rate, folder, tensorboard)
                if due.validation and is_main:
                    _validate(task, trainer.averaged_network, step, folder, tensorboard)
                if due.checkpoint:
                    if is_main:
                        save_checkpoint(folder / CHECKPOINT, step, trainer.checkpoint_parts())
                    saved = step
                if progress is not None:
                    progress(step, schedule.steps)
    except KeyboardInterrupt:
        if is_main:
            logger.warning("Interrupted. %s", _how_to_resume(folder, saved))
        raise
    return trainer.averaged_network.eval()


class _Due(NamedTuple):
    """Flags that state whether logs, validation metrics and a checkpoint are due after a step."""

    log: bool
    validation: bool
    checkpoint: bool


def _due_after(step: int, last: int, config: LoopConfig) -> _Due:
    intervals = (config.log_every, config.validate_every, config.checkpoint_every)
    return _Due(*(step == last or step % interval == 0 for interval in intervals))


def _resume(folder: Path, trainer: Trainer[Any], config: LoopConfig) -> int:
    """Load the checkpoint in ``folder``, drop later rows of the logs, and return the step, or 0 if there is no checkpoint.

    Raises TrainingError if the processes find different checkpoints, or if the checkpoint is beyond the last step.
    """
    accelerator = trainer.accelerator
    step = load_checkpoint(folder / CHECKPOINT, trainer.checkpoint_parts())
    steps = cast("Tensor", accelerator.gather(torch.tensor([step], device=accelerator.device))).tolist()
    if set(steps) != {step}:
        raise TrainingError(
            f"The processes find checkpoints of different steps in {folder}: {steps}. "
            "The run folder must be on a disk that all machines share."
        )
    if step > config.steps:
        raise TrainingError(
            f"The run in {folder} has already done {step} steps, more than the requested {config.steps}. "
            f"Set loop.steps to at least {step}, or choose another run folder."
        )
    if accelerator.is_main_process:
        drop_rows_after(folder / LOG, step)
        drop_rows_after(folder / VALIDATION, step)
        if step:
            logger.info("resumed at step %d from %s", step, folder / CHECKPOINT)
    return step


def _load_batches(task: TrainingTask[Any], steps: range, config: LoopConfig, accelerator: Accelerator) -> Iterator[Any]:
    sampler = ShardedBatchSampler(
        steps,
        config.batch_size,
        config.accumulation_steps,
        accelerator.num_processes,
        accelerator.process_index,
    )
    return load_batches(task.samples, sampler, config.workers, accelerator.device)


def _log(
    losses: dict[str, float], step: int, seconds: float, rate: float, folder: Path, tensorboard: TensorBoardWriter
) -> None:
    append_row(folder / LOG, {"step": step, "seconds": round(seconds, 1), **losses})
    tensorboard.add_scalars("training", step, {**losses, "learning_rate": rate})


def _validate(task: TrainingTask[N], network: N, step: int, folder: Path, tensorboard: TensorBoardWriter) -> None:
    metrics = task.validate(network.eval())
    append_row(folder / VALIDATION, {"step": step, **metrics})
    logger.info("step %d: %s", step, ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
    tensorboard.add_scalars("validation", step, metrics)
    tensorboard.add_image(step, task.preview(network))


def _how_to_resume(folder: Path, saved: int) -> str:
    if not saved:
        return "There is no checkpoint yet. The same command starts again from step 0."
    return f"The checkpoint in {folder} was saved at step {saved}. The same command resumes from this step."
