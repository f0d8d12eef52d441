"""Export networks to ONNX files."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .. import __version__
from ..errors import OptionError
from ..files import atomic_write
from ..models.convert import provenance
from ..models.library import ModelLibrary
from ..models.loader import load_detector_network, load_face_restorer, load_parse_net
from ..models.manifest import ModelKind
from ..networks.face_restorer import FaceRestorer
from ..networks.inference.optimize import fold_batch_norm
from ..optional_package import import_optional
from .comparison import Comparison, compare, reference_outputs
from .export_graph import ExportGraph, graph_of

OPSET = 20
DTYPES = (torch.float32, torch.float16)
SUFFIX = ".onnx"


def export_onnx(
    source: str | Path,
    kind: ModelKind,
    target: Path,
    *,
    dtype: torch.dtype = torch.float32,
    fidelity: float | None = None,
    folders: Sequence[str | Path] = (),
    download: bool = False,
) -> Comparison:
    """Write the network ``source`` (a model name or a path) to ``target``, and return the differences from PyTorch's outputs.

    The batch axis is dynamic, and for detectors also height and width. ``dtype`` is the precision of the weights; inputs and
    outputs are always float32 or uint8. ``fidelity`` is an option of CodeFormer, whose value is fixed in the file. The folder of
    ``target`` is created, and an existing ``target`` is overwritten. No file is written if an error is raised.
    Raises MissingPackageError without the packages of the extra ``onnx``, ExportError if the outputs of ONNX Runtime differ too
    much from PyTorch's, OptionError for a suffix other than .onnx and for a ``dtype`` that is not in ``DTYPES`` or that the network
    does not support, and the errors of the loaders.
    """
    if target.suffix != SUFFIX:
        raise OptionError(f"The exported file must end in {SUFFIX}, got {target.name}.")
    if dtype not in DTYPES:
        raise OptionError(f"dtype must be {' or '.join(map(str, DTYPES))}, got {dtype}.")
    network = _load(source, kind, fidelity, folders, download)
    if isinstance(network, FaceRestorer) and dtype not in network.dtypes:
        raise OptionError(f"This restorer computes in {' or '.join(map(str, network.dtypes))} only, got {dtype}.")
    path = ModelLibrary(folders).locate(source, kind)
    content, comparison = onnx_bytes(network, dtype, _origin(path, kind))
    target.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(target, content)
    return comparison


@torch.no_grad()
def onnx_bytes(network: nn.Module, dtype: torch.dtype, origin: dict[str, str]) -> tuple[bytes, Comparison]:
    """Return the content of an ONNX file for ``network``, and the differences between its outputs and PyTorch's.

    ``network`` is modified: batch norm is folded, and the weights are converted to ``dtype``. ``origin`` is added to the metadata
    of the file. Raises ExportError if the outputs differ too much, and MissingPackageError without the packages of the extra
    ``onnx``.
    """
    graph = graph_of(fold_batch_norm(network.eval().requires_grad_(False)))
    expected = reference_outputs(graph)
    network.to(dtype)
    model = _translate(graph)
    notes = {
        "psfr": __version__,
        "precision": str(dtype).removeprefix("torch."),
        "opset": str(OPSET),
        **origin,
        **graph.notes,
    }
    del model.metadata_props[:]
    for key, value in notes.items():
        model.metadata_props.add(key=key, value=value)
    content = model.SerializeToString()
    return content, compare(content, graph, expected, dtype)


def _load(
    source: str | Path, kind: ModelKind, fidelity: float | None, folders: Sequence[str | Path], download: bool
) -> nn.Module:
    if kind is ModelKind.GENERATOR:
        return load_face_restorer(source, fidelity=fidelity, folders=folders, download=download)
    load = load_parse_net if kind is ModelKind.PARSER else load_detector_network
    return load(source, folders=folders, download=download)


def _translate(graph: ExportGraph) -> Any:
    """Convert ``graph`` to an ONNX model with PyTorch's exporter."""
    for package in ("onnx", "onnxscript"):
        import_optional(package, "psfr export", package)
    logging.getLogger("onnxscript").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # The exporter warns about its own deprecated calls and about repeated axis names.
        warnings.simplefilter("ignore")
        program: Any = torch.onnx.export(
            graph.module.eval(),
            graph.example(2),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=tuple(dict(axes) for axes in graph.inputs.values()),
            verbose=False,
        )
    return program.model_proto


def _origin(path: Path, kind: ModelKind) -> dict[str, str]:
    """Return the metadata about the origin of the weight file ``path``: task, source and license."""
    licence, source = provenance(path)
    return {"kind": kind.value, "source": source, "license": licence}
