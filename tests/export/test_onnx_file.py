"""Test that exported networks return the same outputs in ONNX Runtime and in PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from psfr_core.cli.main import main
from psfr_core.errors import ExportError, OptionError
from psfr_core.export import onnx_file
from psfr_core.export.comparison import LIMITS, compare, reference_outputs
from psfr_core.export.export_graph import graph_of
from psfr_core.export.graphs import CompactDetectorGraph, GeneratorGraph, ParserGraph
from psfr_core.export.onnx_file import export_onnx, onnx_bytes
from psfr_core.faces.compact import CompactDetector
from psfr_core.models.loader import load_detector_network
from psfr_core.models.manifest import ModelKind
from psfr_core.networks.compact_face_net import CompactFaceNet, CompactFaceNetConfig
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator
from psfr_core.parsing.parse_map import ParseMap
from psfr_core.parsing.parser import parse_faces
from psfr_core.restoration.enhance import enhance_faces


@pytest.fixture
def runtime() -> Any:
    """Return the package onnxruntime. Skip the test if the packages of the extra onnx are missing."""
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package, reason="needs the extra onnx")
    return pytest.importorskip("onnxruntime", reason="needs the extra onnx")


@pytest.fixture
def generator() -> PsfrGenerator:
    return PsfrGenerator(GeneratorConfig((6, 4), 4, residual=True)).eval()


def faces(count: int, side: int) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_graphs_of_restoration_equal_the_library(generator: PsfrGenerator) -> None:
    parse_net, crops = ParseNet(ParseNetConfig((4, 6), 1)).eval(), faces(2, 64)
    labels, scores = ParserGraph(parse_net)(crops)
    assert torch.equal(labels, parse_faces(crops, parse_net).labels)
    assert torch.equal(scores.argmax(dim=1), labels.long())
    small = torch.randint(0, 19, (2, 32, 32), dtype=torch.uint8)
    expected = enhance_faces(faces(2, 32), ParseMap(small), generator)
    torch.testing.assert_close(GeneratorGraph(generator)(faces(2, 32), small), expected)


@torch.no_grad()
def test_graph_of_the_detector_equals_the_library() -> None:
    network, images = load_detector_network("compact-face"), faces(2, 64)
    scores, boxes, landmarks = CompactDetectorGraph(network)(images)  # type: ignore[arg-type]
    expected = CompactDetector(network).propose(images, 0.001)  # type: ignore[arg-type]
    for index, candidates in enumerate(expected):
        found = scores[index] >= 0.001
        assert 0 < found.sum() == len(candidates.scores)
        torch.testing.assert_close(scores[index][found], candidates.scores)
        torch.testing.assert_close(boxes[index][found], candidates.boxes)
        torch.testing.assert_close(landmarks[index][found], candidates.landmarks)


@pytest.mark.slow
def test_an_exported_generator_restores_batches_as_in_pytorch(
    runtime: Any, tmp_path: Path, generator: PsfrGenerator, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "g.safetensors", tmp_path / "g.onnx"
    save_file(generator.state_dict(), source)
    assert main(["export", "generator", str(source), "-o", str(target)]) == 0
    assert capsys.readouterr().out.startswith(f"{target}: in ONNX Runtime, restored differ by ")
    session = runtime.InferenceSession(target, providers=["CPUExecutionProvider"])
    labels = torch.randint(0, 19, (5, 32, 32), dtype=torch.uint8)
    found = session.run(None, {"faces": faces(5, 32).numpy(), "labels": labels.numpy()})[0]
    expected = enhance_faces(faces(5, 32), ParseMap(labels), generator)
    torch.testing.assert_close(torch.from_numpy(found), expected, atol=1e-5, rtol=0)
    notes = session.get_modelmeta().custom_metadata_map
    assert (notes["size"], notes["precision"], notes["opset"], notes["kind"]) == ("32", "float32", "20", "generator")
    assert json.loads(notes["regions"])[13] == "hair"
    assert (main(["export", "generator", str(source), "-o", str(target)]), target.exists()) == (2, True)


class WithError(nn.Module):
    """Return the outputs of a graph with ``error`` added to the last output."""

    def __init__(self, graph: nn.Module, error: float) -> None:
        super().__init__()
        self.graph, self.error = graph, error

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        outputs = self.graph(*inputs)
        *first, last = outputs if isinstance(outputs, tuple) else (outputs,)
        return *first, last + self.error


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("factor", [0.5, 1.5, float("nan")])
def test_a_difference_above_the_limit_is_refused(
    monkeypatch: pytest.MonkeyPatch, generator: PsfrGenerator, dtype: torch.dtype, factor: float
) -> None:
    graph = graph_of(generator.requires_grad_(False))
    wrong = WithError(graph.module, LIMITS[dtype].value * factor)

    class Session:
        def __init__(self, *_: object, **__: object) -> None: ...

        def run(self, _: object, inputs: dict[str, Any]) -> list[Any]:
            return [output.numpy() for output in wrong(*map(torch.from_numpy, inputs.values()))]

    stand_in = type("Runtime", (), {"InferenceSession": Session})
    monkeypatch.setattr("psfr_core.export.comparison.import_optional", lambda *_: stand_in)
    if factor < 1:
        difference = compare(b"", graph, reference_outputs(graph), dtype).differences["restored"]
        assert difference == pytest.approx(LIMITS[dtype].value * factor, rel=0.01)
    else:
        with pytest.raises(ExportError, match="restored differ from PyTorch's by .* nothing was written"):
            compare(b"", graph, reference_outputs(graph), dtype)


@pytest.mark.parametrize(
    ("name", "dtype", "words"),
    [("a.pt", torch.float32, "must end in .onnx"), ("a.onnx", torch.bfloat16, "dtype must be")],
)
def test_other_files_and_dtypes_are_refused(tmp_path: Path, name: str, dtype: torch.dtype, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        export_onnx("psfrgan-256", ModelKind.GENERATOR, tmp_path / name, dtype=dtype)


def test_nothing_is_written_if_the_export_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ExportError("no")

    monkeypatch.setattr(onnx_file, "onnx_bytes", fail)
    assert main(["export", "parser", "parsenet-256", "-o", str(tmp_path / "a.onnx")]) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (ModelKind.GENERATOR, "psfrgan-256"),
        (ModelKind.GENERATOR, "psfrgan-512-small"),
        (ModelKind.PARSER, "parsenet-256"),
        (ModelKind.DETECTOR, "compact-face"),
    ],
)
def test_bundled_models_are_within_the_limits(tmp_path: Path, kind: ModelKind, name: str, dtype: torch.dtype) -> None:
    differences = export_onnx(name, kind, tmp_path / "a.onnx", dtype=dtype).differences
    assert differences
    assert (tmp_path / "a.onnx").stat().st_size > 1e6 * dtype.itemsize / 4


@pytest.mark.long
@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("dtype", LIMITS)
def test_detectors_take_images_of_other_sizes(runtime: Any, dtype: torch.dtype) -> None:
    network = CompactFaceNet(CompactFaceNetConfig((4, 6, 8, 10, 12), 7)).eval()
    content, _ = onnx_bytes(network, dtype, {})
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    images = torch.rand(1, 3, 160, 64)
    scores, boxes, landmarks = session.run(None, {"images": images.numpy()})
    assert (scores.shape, boxes.shape, landmarks.shape) == ((1, 640), (1, 640, 4), (1, 640, 5, 2))
    with torch.no_grad():
        expected = CompactDetectorGraph(network.float())(images)[1]
    torch.testing.assert_close(torch.from_numpy(boxes), expected, atol=0.5, rtol=0.02)
