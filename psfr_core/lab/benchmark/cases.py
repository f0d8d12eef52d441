"""List the benchmark cases by name, and check whether they can be measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec

import torch

from .bulk_cases import bulk
from .context import BenchmarkContext
from .image_cases import detection, paste, restoration
from .measure import Measurement
from .network_cases import loading, networks, quality, training
from .onnx_cases import onnx
from .video_cases import video

Case = Callable[[BenchmarkContext], Iterator[Measurement]]


def skip_reason(name: str, context: BenchmarkContext) -> str | None:
    """Return the reason why the case ``name`` cannot be measured in ``context``, or None if it can be measured."""
    if name in ("quality", "detection") and not context.images:
        return "images are needed"
    if name == "detection" and context.detector is None:
        return "a RetinaFace detector is needed"
    if name == "video" and not find_spec("av"):
        return "PyAV is needed (the extra video)"
    if name == "onnx" and not all(find_spec(package) for package in ("onnx", "onnxscript", "onnxruntime")):
        return "the packages of the extra onnx are needed"
    if name == "quality" and context.dtypes[-1] == torch.float32:
        return "nothing is faster than float32 on this device"
    return None


CASES: dict[str, Case] = {
    "networks": networks,
    "quality": quality,
    "paste": paste,
    "detection": detection,
    "restoration": restoration,
    "bulk": bulk,
    "video": video,
    "loading": loading,
    "training": training,
    "onnx": onnx,
}
