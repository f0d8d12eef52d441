"""The interface of metrics of single images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

Measure = Callable[[Tensor], float]
"""Returns the value of a metric for an image (1, 3, H, W), RGB in [0, 1]."""


@dataclass(frozen=True, eq=False)
class Metric:
    """Metric of single images, with its name in tables and a note for the reader.

    ``against`` takes the reference image (1, 3, H, W) and returns the measure of images against it; values that depend only
    on the reference are computed once. A measure returns NaN for an image that cannot be measured.
    """

    name: str
    higher_is_better: bool
    against: Callable[[Tensor], Measure]
    note: str = ""


def paired_metric(name: str, compare: Callable[[Tensor, Tensor], Tensor], *, higher_is_better: bool) -> Metric:
    """Return a metric that ``compare`` computes from images and references, both (1, 3, H, W)."""

    def against(reference: Tensor) -> Measure:
        return lambda image: float(compare(image, reference))

    return Metric(name, higher_is_better, against)
