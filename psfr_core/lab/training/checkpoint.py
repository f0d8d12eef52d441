"""Save checkpoints, and load them to resume interrupted runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ...errors import CheckpointError, TrainingError, is_out_of_memory
from ...files import atomic_path
from ...models.torch_archive import find_damage


class Stateful(Protocol):
    """Object whose state a checkpoint stores: a network, an optimizer or a gradient scaler."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Any) -> object: ...


def save_checkpoint(path: Path, step: int, parts: Mapping[str, Stateful]) -> None:
    """Write the state of ``parts`` after ``step`` steps to ``path``, which is replaced atomically.

    Raises TrainingError if the file cannot be written. An earlier checkpoint is then kept, and no partial file remains.
    """
    content = {"step": step, **{name: part.state_dict() for name, part in parts.items()}}
    try:
        _write(path, content)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as either
        raise TrainingError(_write_failure(path, step, error, _bytes_of(content))) from error


def load_checkpoint(path: Path, parts: Mapping[str, Stateful]) -> int:
    """Load the state of ``parts`` and return the number of finished steps, or return 0 if there is no checkpoint.

    Raises TrainingError if the checkpoint is damaged, does not fit into memory, or belongs to other networks.
    """
    if not path.exists():
        return 0
    content = _read(path)
    step: int = content.pop("step")
    if set(content) != set(parts):
        raise TrainingError(_mismatch(path, f"it contains {', '.join(content)}; {', '.join(parts)} are needed"))
    try:
        for name, part in parts.items():
            part.load_state_dict(content[name])
    except (RuntimeError, ValueError, KeyError) as error:
        raise TrainingError(_mismatch(path, str(error).split("\n")[0])) from error
    return step


def _read(path: Path) -> dict[str, Any]:
    """Return the states of a checkpoint by name of the part, and the number of steps under "step"."""
    try:
        with path.open("rb") as file:
            damage = find_damage(file)
            if damage:
                raise CheckpointError(damage)
            file.seek(0)
            # load to the CPU: with step counters on the GPU, Adam would wait for the GPU at every step
            content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        return {**content, "step": int(content["step"])}
    except Exception as error:  # damaged files raise zip, pickle, KeyError, EOFError and other errors
        if is_out_of_memory(error):
            raise TrainingError(
                f"The checkpoint {path} does not fit into the free memory. Close other programs."
            ) from error
        reason = f"{type(error).__name__}: {error}".split(". ")[0]
        raise TrainingError(
            f"The checkpoint {path} is damaged or not a checkpoint ({reason}). "
            "Restore a copy, or delete it to start the run again."
        ) from error


def _write(path: Path, content: Mapping[str, Any]) -> None:
    with atomic_path(path) as unfinished, unfinished.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())  # otherwise the renamed file could be empty after a power failure


def _mismatch(path: Path, reason: str) -> str:
    """Return the message for a checkpoint of other networks."""
    return f"{path} belongs to a run of other networks ({reason}). Choose another run folder, or delete the checkpoint."


def _write_failure(path: Path, step: int, error: OSError | RuntimeError, needed: int) -> str:
    """Return the message for a checkpoint of ``needed`` bytes that cannot be written."""
    cause = error.__context__ if isinstance(error.__context__, OSError) else error
    reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    free = shutil.disk_usage(path.parent).free
    earlier = "The earlier checkpoint was kept. " if path.exists() else ""
    return (
        f"The checkpoint of step {step} cannot be written to {path} ({reason}). It needs about {needed / 1e6:.1f} MB, "
        f"and {free / 1e6:.1f} MB are free. {earlier}Free disk space and repeat the command."
    )


def _bytes_of(value: Any) -> int:
    """Return the size of all tensors in nested containers in bytes."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, Mapping):
        return sum(_bytes_of(part) for part in value.values())
    return sum(_bytes_of(part) for part in value) if isinstance(value, list | tuple) else 0
