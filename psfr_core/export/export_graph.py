"""Describe a network for export: its graph, the names and axes of its inputs and outputs, and its conventions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..faces import compact, retinaface
from ..faces.template import FFHQ_TEMPLATE
from ..networks.compact_face_net import CompactFaceNet
from ..networks.face_restorer import FaceRestorer
from ..networks.parse_net import ParseNet
from ..networks.psfr_generator import PARSE_CLASSES
from ..parsing.labels import FaceRegion
from .graphs import CompactDetectorGraph, GeneratorGraph, ParserGraph, RestorerGraph, RetinaFaceGraph

IMAGES = "float32 RGB in [0, 1], channels first"
_LANDMARKS = "left eye, right eye, nose tip, left and right mouth corner as seen in the image"
_DETECTOR_SIDES = (96, 128)  # height and width of the image with which a detector is traced
_CELL = 32  # pixels; the sides of images for detectors must be multiples of this number

Axes = Mapping[int, Any]
"""Dynamic axes of an input, with the torch.export dimension of each axis."""


@dataclass(frozen=True, eq=False)
class ExportGraph:
    """A graph to export.

    ``inputs`` are the names of the inputs with their dynamic axes, and ``outputs`` the names of the outputs. ``example`` returns
    random inputs for a batch size, which are equal in each call, and ``notes`` is the metadata of the file.
    """

    module: nn.Module
    inputs: Mapping[str, Axes]
    outputs: tuple[str, ...]
    example: Callable[[int], tuple[Tensor, ...]]
    notes: Mapping[str, str]


def graph_of(network: nn.Module) -> ExportGraph:
    """Return the graph for a restorer, a parsing network or a detection network."""
    if isinstance(network, FaceRestorer):
        return _restorer_graph(network)
    return _parser_graph(network) if isinstance(network, ParseNet) else _detector_graph(network)


def _restorer_graph(network: FaceRestorer) -> ExportGraph:
    size, axes = network.size, {0: torch.export.Dim("batch")}
    notes = {
        "size": str(size),
        "input faces": f"(batch, 3, {size}, {size}) {IMAGES}, aligned so that the landmarks are at the template",
        "output restored": f"(batch, 3, {size}, {size}) {IMAGES}",
        "template": json.dumps(FFHQ_TEMPLATE),
        "template meaning": f"{_LANDMARKS}; x, y as fractions of the side",
    }
    if not network.uses_parse_map:
        return ExportGraph(RestorerGraph(network), {"faces": axes}, ("restored",), lambda n: (_faces(n, size),), notes)
    notes |= {"input labels": f"(batch, {size}, {size}) uint8, see regions", "regions": _regions()}
    return ExportGraph(
        GeneratorGraph(network),
        {"faces": axes, "labels": axes},
        ("restored",),
        lambda count: (_faces(count, size), _labels(count, size)),
        notes,
    )


def _parser_graph(network: ParseNet) -> ExportGraph:
    size = network.config.size
    notes = {
        "size": str(size),
        "input faces": f"(batch, 3, {size}, {size}) {IMAGES}",
        "output labels": f"(batch, {size}, {size}) uint8, see regions",
        "output scores": f"(batch, {PARSE_CLASSES}, {size}, {size}) float32 logits in the order of regions",
        "regions": _regions(),
    }
    axes = {0: torch.export.Dim("batch")}
    return ExportGraph(
        ParserGraph(network), {"faces": axes}, ("labels", "scores"), lambda count: (_faces(count, size),), notes
    )


def _detector_graph(network: nn.Module) -> ExportGraph:
    is_compact = isinstance(network, CompactFaceNet)
    min_score = compact.DEFAULT_MIN_SCORE if is_compact else retinaface.DEFAULT_MIN_SCORE
    largest = (compact.SCALE_RANGE if is_compact else retinaface.RetinaFaceDetector.scale_range).max_face
    notes = {
        "input images": f"(batch, 3, height, width) {IMAGES}; height and width are multiples of {_CELL}",
        "output scores": "(batch, N) in [0, 1]",
        "output boxes": "(batch, N, 4) left, top, right, bottom in pixels; the corner of the top-left pixel is (0, 0)",
        "output landmarks": f"(batch, N, 5, 2) x, y in pixels: {_LANDMARKS}; the center of the top-left pixel is (0, 0)",
        "min_score": str(min_score),
        "largest face": f"{largest:g} px; larger faces are found in a smaller copy of the image",
        "overlapping boxes": "not removed; use non-maximum suppression",
    }
    cells = {axis: _CELL * torch.export.Dim(name, min=2) for axis, name in ((2, "rows"), (3, "columns"))}
    axes = {0: torch.export.Dim("batch"), **cells}
    graph = CompactDetectorGraph(network) if is_compact else RetinaFaceGraph(network)
    return ExportGraph(
        graph,
        {"images": axes},
        ("scores", "boxes", "landmarks"),
        lambda count: (_smooth(count, *_DETECTOR_SIDES),),
        notes,
    )


def _regions() -> str:
    return json.dumps([region.name.lower() for region in FaceRegion])


def _faces(count: int, size: int) -> Tensor:
    return _smooth(count, size, size)


def _smooth(count: int, height: int, width: int) -> Tensor:
    coarse = torch.rand(count, 3, height // 8, width // 8, generator=torch.Generator().manual_seed(count))
    return nn.functional.interpolate(coarse, (height, width), mode="bilinear")


def _labels(count: int, size: int) -> Tensor:
    random = torch.Generator().manual_seed(count)
    patches = torch.randint(0, PARSE_CLASSES, (count, size // 16, size // 16), generator=random, dtype=torch.uint8)
    return patches.repeat_interleave(16, 1).repeat_interleave(16, 2)
