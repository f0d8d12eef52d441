"""The file an interrupted run goes on from."""

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
    """What a checkpoint can hold: a network, an optimizer, a gradient scaler."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Any) -> object: ...


def save_checkpoint(path: Path, step: int, parts: Mapping[str, Stateful]) -> None:
    """Writes the state of ``parts`` after ``step`` steps; under ``path`` there is always one whole checkpoint.

    TrainingError when it cannot be written: an earlier one stays, and nothing else is left behind.
    """
    content = {"step": step, **{name: part.state_dict() for name, part in parts.items()}}
    try:
        _write(path, content)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as either
        raise TrainingError(_unwritten(path, step, error, _bytes_of(content))) from error


def load_checkpoint(path: Path, parts: Mapping[str, Stateful]) -> int:
    """Gives ``parts`` the state they had, and returns after how many steps that was; 0 without a checkpoint."""
    if not path.exists():
        return 0
    content = _read(path)
    step: int = content.pop("step")
    if set(content) != set(parts):
        raise TrainingError(_other_run(path, f"it holds {', '.join(content)}, needed are {', '.join(parts)}"))
    try:
        for name, part in parts.items():
            part.load_state_dict(content[name])
    except (RuntimeError, ValueError, KeyError) as error:
        raise TrainingError(_other_run(path, str(error).split("\n")[0])) from error
    return step


def _read(path: Path) -> dict[str, Any]:
    """Return the parts of a checkpoint, and under "step" after how many steps it was written."""
    try:
        with path.open("rb") as file:
            damage = find_damage(file)
            if damage:
                raise CheckpointError(damage)
            file.seek(0)
            # On the CPU: Adam keeps its counters where they are loaded, and would wait for a GPU to read them there.
            content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        return {**content, "step": int(content["step"])}
    except Exception as error:  # a damaged file fails in many ways: zip, pickle, missing keys, end of file
        if is_out_of_memory(error):
            raise TrainingError(
                f"The checkpoint {path} does not fit into the free memory. Close other programs."
            ) from error
        reason = f"{type(error).__name__}: {error}".split(". ")[0]
        raise TrainingError(
            f"The checkpoint {path} is damaged or no checkpoint ({reason}). "
            "Put a copy of it back, or delete it to begin the run anew."
        ) from error


def _write(path: Path, content: Mapping[str, Any]) -> None:
    with atomic_path(path) as unfinished, unfinished.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())  # a power cut must not leave the new name with the content missing


def _other_run(path: Path, reason: str) -> str:
    return f"{path} belongs to a run of other networks ({reason}). Choose another run folder, or delete it."


def _unwritten(path: Path, step: int, error: OSError | RuntimeError, needed: int) -> str:
    cause = error.__context__ if isinstance(error.__context__, OSError) else error
    reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    free = shutil.disk_usage(path.parent).free
    earlier = "The earlier checkpoint is still there. " if path.exists() else ""
    return (
        f"The checkpoint of step {step} cannot be written to {path} ({reason}): it needs about {needed / 1e6:.1f} MB, "
        f"and {free / 1e6:.1f} MB are free. {earlier}Make room and give the same command again."
    )


def _bytes_of(value: Any) -> int:
    """Size of the tensors in nested containers."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, Mapping):
        return sum(_bytes_of(part) for part in value.values())
    return sum(_bytes_of(part) for part in value) if isinstance(value, list | tuple) else 0
