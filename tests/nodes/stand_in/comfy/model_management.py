"""Imitate the management of devices and interrupts. Tests change the module variables."""

from __future__ import annotations

from typing import Any

import torch

OOM_EXCEPTION = torch.cuda.OutOfMemoryError

device = torch.device("cpu")
interrupted = False
loaded: list[tuple[list[Any], float]] = []  # patchers and requested memory of each call of load_models_gpu


class InterruptProcessingException(Exception):  # noqa: N818
    pass


def get_torch_device() -> torch.device:
    return device


def unet_offload_device() -> torch.device:
    return torch.device("cpu")


def is_device_cpu(of: torch.device) -> bool:
    return of.type == "cpu"


def should_use_fp16(of: torch.device | None = None) -> bool:
    return False


def should_use_bf16(of: torch.device | None = None) -> bool:
    return False


def soft_empty_cache() -> None:
    pass


def load_models_gpu(models: list[Any], memory_required: float = 0, force_full_load: bool = False) -> None:
    loaded.append((models, memory_required))
    for patcher in models:
        patcher.model.to(patcher.load_device)


def throw_exception_if_processing_interrupted() -> None:
    global interrupted  # noqa: PLW0603
    if interrupted:
        interrupted = False
        raise InterruptProcessingException
