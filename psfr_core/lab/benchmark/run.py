"""Measure the cases of a benchmark specification."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from .cases import CASES
from .context import BenchmarkContext
from .measure import Measurement
from .spec import BenchmarkSpec


def measure_cases(spec: BenchmarkSpec, context: BenchmarkContext) -> Iterator[Measurement]:
    """Measure the cases of ``spec`` and yield each measurement. ``context`` is the result of ``spec.context``.

    Cases that cannot be measured are skipped. Raises OptionError if ``spec`` requests such a case by name.
    """
    skipped = spec.skipped(context)
    if context.device.type == "cuda":
        torch.cuda.set_device(context.device)  # the measurements synchronize the current device
    for name in spec.cases or CASES:
        if name not in skipped:
            yield from CASES[name](context)
