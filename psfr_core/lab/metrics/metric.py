"""The interface of the metrics of single images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

Measure = Callable[[Tensor], float]
"""Returns the value of a metric for an image (1, 3, H, W), RGB in [0, 1]."""


@dataclass(frozen=True, eq=False)
class Metric:
    """A metric of single images, with its name in tables and a note for its readers.

    ``against`` takes the reference image (1, 3, H, W), so that what depends only on it is computed once. A value is NaN
    where the image cannot be measured.
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
