"""Test the comparisons and reports of the benchmark, but not the measured speed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from psfr_core.cli.main import main
from psfr_core.errors import NoFaceError
from psfr_core.faces.face import Face
from psfr_core.images.io import ImageFile, write_image
from psfr_core.lab.benchmark import bulk_cases, cases, run, video_cases
from psfr_core.lab.benchmark.context import BenchmarkContext
from psfr_core.lab.benchmark.measure import Measurement, compare, peak_megabytes
from psfr_core.lab.benchmark.published import PublishedGenerator
from psfr_core.lab.benchmark.spec import BenchmarkSpec
from psfr_core.lab.benchmark.training_step import training_steps
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator
from psfr_core.restoration.restoration_models import RestorationModels


@torch.no_grad()
@pytest.mark.parametrize("residual", [False, True])
def test_published_formulation_gives_the_same_output(residual: bool) -> None:
    generator = PsfrGenerator(GeneratorConfig((12, 8, 6), 5, residual)).eval()
    published = PublishedGenerator(generator)
    lq = torch.rand(2, 3, 64, 64) * 2 - 1
    one_hot = torch.nn.functional.one_hot(torch.randint(0, 19, (2, 64, 64)), 19).permute(0, 3, 1, 2).float()
    torch.testing.assert_close(published(lq, one_hot), generator(lq, one_hot), atol=1e-5, rtol=1e-4)
    assert "weight_orig" in dict(published.generator.img_out.named_parameters())


def test_comparison_alternates_both_functions_after_a_warm_up() -> None:
    runs: list[str] = []
    measured = compare("ours", lambda: runs.append("B"), "theirs", lambda: runs.append("A"), 7)
    assert runs == ["A", "B"] * 8
    assert measured.ratio is not None
    assert measured.ratio > 0
    assert measured.baseline == "theirs"


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="only Linux reports the peak memory of a process"
)
def test_peak_memory_includes_work_and_weights() -> None:
    network = torch.nn.Linear(1000, 1000)
    found = peak_megabytes(lambda: torch.ones(25_000_000).sum(), [network], torch.device("cpu"))
    assert found is not None
    assert 103 < found < 125  # 100 MB of work and 4 MB of weights


@pytest.mark.slow
def test_a_video_is_compared_with_single_frames_and_divided_into_steps(
    models: RestorationModels, two_faces: list[Face], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av")
    models.detector.faces[:] = two_faces  # type: ignore[attr-defined]
    monkeypatch.setattr(video_cases, "load_models", lambda **_: models)
    monkeypatch.setattr(video_cases, "_FRAMES", 2)
    changing, whole, *steps = video_cases.video(BenchmarkContext(torch.device("cpu"), 1))
    assert (changing.name, changing.baseline) == ("video of a changing face", "frame by frame")
    assert (whole.name, whole.baseline) == ("video", "frame by frame")
    assert f"{2 / whole.seconds:.1f} frames per second" in whole.note
    assert [step.name.removeprefix("video: ") for step in steps] == [
        "decoding, twice",
        "finding faces",
        "encoding",
        "parsing, restoring and pasting",
    ]
    assert all(step.note == f"{100 * step.seconds / whole.seconds:.0f} % of the time" for step in steps)


def test_command_writes_markdown_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "loading", "--generator", "psfrgan-256", "--device", "cpu", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "benchmark.md").read_text() == capsys.readouterr().out
    content = json.loads((tmp_path / "benchmark.json").read_text())
    assert content["machine"]["torch"] == torch.__version__
    first, last = content["results"]
    assert first["name"] == "load a generator file"
    assert first["ratio"] > 0
    assert last["ratio"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "There is no case nothing. Choose among networks"),
        (["--repeats", "3"], "at least 7, got 3"),
        (["quality"], "The case quality cannot be measured: images are needed"),
        (["paste", "detection"], "The case detection cannot be measured: images are needed"),
        (["onnx"], "The case onnx cannot be measured: the packages of the extra onnx are needed"),
    ],
)
def test_invalid_arguments_are_reported(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "find_spec", lambda _: None)
    assert main(["benchmark", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_training_steps_are_compared_and_failed_compilation_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*_: object) -> None:
        raise RuntimeError("no compiler\nat all")

    monkeypatch.setattr(torch, "compile", no_compiler)
    lq, one_hot = torch.rand(1, 3, 32, 32), torch.rand(1, 19, 32, 32)
    *measured, compiled = training_steps(GeneratorConfig((4, 4), 3), lq, one_hot, 7)
    assert [(step.name, step.baseline) for step in measured] == [
        ("channels_last", "plain step"),
        ("channels_last, bfloat16 autocast", "plain step"),
    ]
    assert (compiled.ratio, compiled.note) == (None, "failed: no compiler")


def test_too_large_images_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / "a.png", ImageFile(torch.zeros(3, 40, 50)))
    arguments = ["benchmark", "detection", "--images", str(tmp_path / "a.png"), "--device", "cpu", "--max-megapixels"]
    assert main([*arguments, "0.001"]) == 1
    assert "--max-megapixels" in capsys.readouterr().err
    assert main([*arguments, "0.002"]) == 2  # the image is accepted, but the detector is missing
    assert "a RetinaFace detector is needed" in capsys.readouterr().err


@pytest.mark.long
def test_onnx_runtime_is_compared_with_pytorch() -> None:
    measured = list(cases.CASES["onnx"](BenchmarkContext(torch.device("cpu"), 7)))
    assert [(found.name, found.baseline) for found in measured] == [
        ("generator in ONNX Runtime", "PyTorch"),
        ("parser in ONNX Runtime", "PyTorch"),
    ]
    assert all(found.ratio is not None and 0.02 < found.ratio < 50 for found in measured)


@pytest.mark.long
def test_many_files_are_compared_with_single_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_cases, "_FILES", 2)
    measured = list(cases.CASES["bulk"](BenchmarkContext(torch.device("cpu"), 1)))
    assert [(found.name, found.baseline) for found in measured] == [
        ("2 files, bundled models", "one after the other"),
        ("2 files, simulated models", "one after the other"),
    ]
    assert "files per second" in measured[0].note


def test_one_failing_case_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(context: BenchmarkContext) -> Iterator[Measurement]:
        raise NoFaceError("No face was found.\nChoose photos with faces.")

    monkeypatch.setattr(run, "CASES", {"networks": failing, "paste": lambda context: iter([Measurement("paste", 1.0)])})
    spec = BenchmarkSpec()
    context = spec.context(torch.device("cpu"))
    failed, measured = run.measure_cases(spec, context)
    assert (failed.name, failed.note, measured.seconds) == ("networks", "failed: No face was found.", 1.0)
    with pytest.raises(NoFaceError):
        list(run.measure_cases(replace(spec, cases=("networks",)), context))
