"""Measure the cases of a benchmark specification."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...errors import PsfrError
from .cases import CASES
from .context import BenchmarkContext
from .measure import Measurement
from .spec import BenchmarkSpec


def measure_cases(spec: BenchmarkSpec, context: BenchmarkContext) -> Iterator[Measurement]:
    """Measure the cases of ``spec`` and yield each measurement. ``context`` is the result of ``spec.context``.

    Cases that cannot be measured are skipped. If all cases are measured, a case that fails with a PsfrError yields a measurement
    with the error as its note and NaN seconds. Raises OptionError if ``spec`` requests a case by name that cannot be measured.
    """
    skipped = spec.skipped(context)
    if context.device.type == "cuda":
        torch.cuda.set_device(context.device)  # the measurements synchronize the current device
    for name in spec.cases or CASES:
        if name in skipped:
            continue
        try:
            yield from CASES[name](context)
        except PsfrError as error:
            if spec.cases:
                raise
            yield Measurement(name, float("nan"), note=f"failed: {str(error).splitlines()[0]}")
