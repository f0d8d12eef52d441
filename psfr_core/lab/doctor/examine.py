"""Run the checks of ``psfr doctor`` one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch

from ...models.manifest import MODEL_FILES, ModelKind
from . import behavior, equality, installation
from .check import Check, Finding, run_check


def examine(device: torch.device) -> Iterator[Check]:
    """Run all checks on ``device`` and yield each result. A failed check does not stop the others."""
    if device.type == "cuda":
        torch.cuda.set_device(device)  # measurements synchronize the current device
    for name, check in _checks(device):
        yield run_check(name, check)


def _checks(device: torch.device) -> Iterator[tuple[str, Callable[[], Finding]]]:
    yield "versions", partial(installation.versions, device)
    yield "memory", partial(installation.memory, device)
    for name, (module, purpose) in installation.PACKAGES.items():
        yield name, partial(installation.package, module, purpose)
    generators = [entry.name for entry in MODEL_FILES if entry.is_bundled and entry.kind is ModelKind.GENERATOR]
    yield "detector, float32", partial(equality.detector_equality, device)
    for dtype in equality.LIMITS:
        precision = str(dtype).removeprefix("torch.")
        yield f"parser, {precision}", partial(equality.parser_equality, device, dtype)
        for name in generators:
            yield f"{name}, {precision}", partial(equality.generator_equality, name, device, dtype)
    yield "paste-back", partial(behavior.paste_back, device)
    yield f"a batch of {behavior.BATCH}", partial(behavior.batches, device)
    yield "out of memory", partial(behavior.out_of_memory, device)
    yield "torch.compile", partial(behavior.compiled, device)
    for dtype in equality.LIMITS:
        for name in generators:
            title = f"speed of {name}, {str(dtype).removeprefix('torch.')}"
            yield title, partial(behavior.speed, device, dtype, name)
