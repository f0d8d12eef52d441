"""Compare an exported network in ONNX Runtime with PyTorch in float32 on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from ..errors import ExportError
from ..optional_package import import_optional
from .export_graph import ExportGraph

BATCHES = (1, 3)  # batch sizes that are compared


@dataclass(frozen=True)
class Limits:
    """Tolerances for ONNX Runtime against PyTorch in float32."""

    value: float  # maximum difference between restored faces, and between detection scores
    pixels: float  # maximum difference between coordinates: in pixels for coordinates up to 100 px, in percent for larger ones
    equal_labels: float  # minimum fraction of equal labels


LIMITS: Mapping[torch.dtype, Limits] = MappingProxyType(
    {torch.float32: Limits(1e-4, 0.01, 0.999), torch.float16: Limits(2e-2, 2.0, 0.99)}
)


@dataclass(frozen=True)
class Comparison:
    """The maximum difference of each output, in the units of ``Limits``. For labels, it is the fraction of different labels."""

    differences: Mapping[str, float]

    def __str__(self) -> str:
        return ", ".join(f"{name} differ by {difference:.1e}" for name, difference in self.differences.items())


def reference_outputs(graph: ExportGraph) -> list[tuple[Tensor, ...]]:
    """Return the outputs of PyTorch for a batch of each size in ``BATCHES``."""
    outputs = [graph.module(*graph.example(count)) for count in BATCHES]
    return [output if isinstance(output, tuple) else (output,) for output in outputs]


def compare(content: bytes, graph: ExportGraph, expected: list[tuple[Tensor, ...]], dtype: torch.dtype) -> Comparison:
    """Run the ONNX file ``content`` on the inputs of ``graph``, and compare its outputs with ``expected``.

    ``expected`` comes from ``reference_outputs``. ``dtype`` is the precision of the exported weights, on which the limits depend.
    Raises ExportError if shapes differ or a limit is exceeded, and MissingPackageError without onnxruntime.
    """
    runtime = import_optional("onnxruntime", "psfr export", "onnxruntime")
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found_differences: dict[str, list[float]] = {name: [] for name in _compared(graph)}
    for count, outputs in zip(BATCHES, expected, strict=True):
        inputs = {name: value.numpy() for name, value in zip(graph.inputs, graph.example(count), strict=True)}
        found = [torch.from_numpy(values) for values in session.run(list(graph.outputs), inputs)]
        for name, values, reference in zip(graph.outputs, found, outputs, strict=True):
            if name in found_differences:
                found_differences[name].append(_difference(name, values, reference))
    # The maximum of PyTorch returns NaN if any value is NaN, unlike Python's max.
    differences = {name: float(torch.tensor(values).max()) for name, values in found_differences.items()}
    _check(differences, LIMITS[dtype])
    return Comparison(differences)


def _compared(graph: ExportGraph) -> list[str]:
    """Return the names of the outputs to compare. For a parser, only labels are compared, because logits have no scale."""
    return ["labels"] if "labels" in graph.outputs else list(graph.outputs)


def _difference(name: str, found: Tensor, expected: Tensor) -> float:
    if found.shape != expected.shape:
        raise ExportError(
            f"The exported {name} have the shape {tuple(found.shape)} instead of {tuple(expected.shape)}."
        )
    if name == "labels":
        return float((found != expected).float().mean())
    difference = (found - expected).abs()
    if name in ("boxes", "landmarks"):
        difference = difference / (expected.abs() / 100).clamp(min=1)
    return float(difference.max())


def _check(differences: Mapping[str, float], limits: Limits) -> None:
    allowed = {"labels": 1 - limits.equal_labels, "boxes": limits.pixels, "landmarks": limits.pixels}
    for name, difference in differences.items():
        limit = allowed.get(name, limits.value)
        if not difference <= limit:
            raise ExportError(
                f"The exported {name} differ from PyTorch's by {difference:.1e}, more than {limit:.1e}, so nothing was written. "
                "Export in float32, or update onnx, onnxscript and onnxruntime."
            )
