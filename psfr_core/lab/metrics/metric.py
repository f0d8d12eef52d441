"""Define the interface of per-image metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

Measure = Callable[[Tensor], float]
"""Function that returns the value of a metric for an image (1, 3, H, W), RGB in [0, 1]."""


@dataclass(frozen=True, eq=False)
class Metric:
    """Per-image metric, with its name in tables and a note for the reader.

    ``against`` takes the reference image (1, 3, H, W) and returns a function that measures images against the reference.
    Values that depend only on the reference are computed once. An image that cannot be measured has the value NaN.
    """

    name: str
    higher_is_better: bool
    against: Callable[[Tensor], Measure]
    note: str = ""


def paired_metric(name: str, compare: Callable[[Tensor, Tensor], Tensor], *, higher_is_better: bool) -> Metric:
    """Return the metric ``name``, which ``compare`` computes from image and reference, both (1, 3, H, W)."""

    def against(reference: Tensor) -> Measure:
        return lambda image: float(compare(image, reference))

    return Metric(name, higher_is_better, against)
