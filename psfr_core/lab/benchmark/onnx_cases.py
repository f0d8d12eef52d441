"""Compare exported networks in ONNX Runtime with this library's networks in PyTorch, on the CPU."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import nn

from ...export.export_graph import ExportGraph, graph_of
from ...export.onnx_file import onnx_bytes
from ...models.loader import load_generator, load_parse_net
from ...networks.inference.optimize import optimize_for_inference
from ...optional_package import import_optional
from ...restoration.restoration_models import BUNDLED_GENERATOR, BUNDLED_PARSE_NET
from .context import BenchmarkContext
from .measure import Measurement, compare


@torch.no_grad()
def onnx(context: BenchmarkContext) -> Iterator[Measurement]:
    """Compare ONNX Runtime with this library's networks in float32, for one face and the same number of threads.

    The case uses the bundled generator and parsing network unless ``context`` selects others.
    """
    networks: dict[str, nn.Module] = {
        "generator": load_generator(context.generator or BUNDLED_GENERATOR),
        "parser": load_parse_net(context.parser or BUNDLED_PARSE_NET),
    }
    for name, network in networks.items():
        content, _ = onnx_bytes(copy.deepcopy(network), torch.float32, {})
        graph = graph_of(optimize_for_inference(network, torch.device("cpu"), torch.float32))
        yield compare(
            f"{name} in ONNX Runtime", _in_onnx_runtime(content, graph), "PyTorch", _in_pytorch(graph), context.repeats
        )


def _in_pytorch(graph: ExportGraph) -> Callable[[], object]:
    inputs = graph.example(1)
    return lambda: graph.module(*inputs)


def _in_onnx_runtime(content: bytes, graph: ExportGraph) -> Callable[[], object]:
    runtime = import_optional("onnxruntime", "The benchmark case onnx", "onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    inputs = {name: value.numpy() for name, value in zip(graph.inputs, graph.example(1), strict=True)}
    return lambda: session.run(None, inputs)
