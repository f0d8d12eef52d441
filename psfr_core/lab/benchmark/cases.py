"""The benchmark cases by name, and the conditions for measuring them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from .context import BenchmarkContext
from .image_cases import detection, paste, restoration
from .measure import Measurement
from .network_cases import loading, networks, quality, training

Case = Callable[[BenchmarkContext], Iterator[Measurement]]


def skip_reason(name: str, context: BenchmarkContext) -> str | None:
    """Return the reason why a case cannot be measured in this context, or None if it can."""
    if name in ("quality", "detection") and not context.images:
        return "it needs images"
    if name == "detection" and context.detector is None:
        return "it needs a RetinaFace as the detector"
    if name == "quality" and context.dtypes[-1] == torch.float32:
        return "nothing is faster than float32 on this device"
    return None


CASES: dict[str, Case] = {
    "networks": networks,
    "quality": quality,
    "paste": paste,
    "detection": detection,
    "restoration": restoration,
    "loading": loading,
    "training": training,
}
