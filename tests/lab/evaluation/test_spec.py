from __future__ import annotations

from pathlib import Path

import pytest
import torch

from psfr_core.errors import OptionError
from psfr_core.faces.detection_options import DetectionOptions
from psfr_core.images.io import ImageFile, write_image
from psfr_core.lab.evaluation.metrics_spec import MetricsSpec
from psfr_core.lab.evaluation.run import EvaluationError, run
from psfr_core.lab.evaluation.sources import ResultFolder, Sample
from psfr_core.lab.evaluation.spec import DetectorSpec, GeneratorSpec, ImagesSpec, read_spec, settings_of


def spec_file(folder: Path, text: str) -> Path:
    (folder / "spec.yaml").write_text(text)
    return folder / "spec.yaml"


def folder_of(folder: Path, values: dict[str, float]) -> Path:
    folder.mkdir()
    for name, value in values.items():
        write_image(folder / name, ImageFile(torch.full((3, 16, 16), value)))
    return folder


def test_a_specification_is_read_from_a_file(tmp_path: Path) -> None:
    text = "kind: generator\nfaces: clean\nseed: 3\nmetrics: {niqe: true, rank_by: ssim}\nmax_pixels: null\n"
    expected = GeneratorSpec(
        faces=Path("clean"), seed=3, metrics=MetricsSpec(niqe=True, rank_by="ssim"), max_pixels=None
    )
    assert read_spec(spec_file(tmp_path, text)) == expected
    text = "kind: detector\ninputs: [a.png]\nreference: null\noptions: {min_score: 0.5}\n"
    options = DetectionOptions(min_score=0.5)
    assert read_spec(spec_file(tmp_path, text)) == DetectorSpec(inputs=("a.png",), reference=None, options=options)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: face", "with one of these values: images, generator, restorers, parser, strength, video, detector"),
        ("[1]", "must have a field kind"),
        ("kind: generator\nfaces: x\ncolour: 1", "there is no field colour"),
        ("kind: generator\nfaces: x\nseed: many", "seed: "),
        ("kind: generator", "faces: "),
        ("kind: generator\nfaces: x\nmetrics: {features: f}", "LPIPS needs both"),
        ("kind: generator\nfaces: x\nmetrics: {nique: true}", "there is no field metrics.nique"),
        ("kind: [", "not valid YAML"),
    ],
)
def test_invalid_files_are_reported(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError) as caught:
        read_spec(spec_file(tmp_path, text))
    assert words in str(caught.value)


def test_settings_have_dotted_names_and_no_empty_values() -> None:
    settings = settings_of(ImagesSpec(results=Path("a"), references=Path("b"), metrics=MetricsSpec(rank_by="psnr")))
    assert settings["results"] == "a"
    assert settings["metrics.rank_by"] == "psnr"
    assert not {"inputs", "metrics.fid"} & settings.keys()


def test_an_evaluation_runs_from_python(tmp_path: Path) -> None:
    results = folder_of(tmp_path / "results", {"a.png": 0.4, "b.png": 0.5})
    references = folder_of(tmp_path / "references", {"a.png": 0.6, "b.png": 0.6})
    spec = ImagesSpec(results=results, references=references)
    calls: list[tuple[int, int]] = []
    evaluation = run(spec, device="cpu", progress=lambda done, total: calls.append((done, total)))
    assert evaluation.rows["a.png"]["psnr"] == pytest.approx(13.98, abs=0.05)
    assert evaluation.rows["b.png"]["psnr"] == pytest.approx(20, abs=0.2)
    assert evaluation.markdown.startswith("| mean of 2 | psnr | ssim |")
    assert calls == [(1, 2), (2, 2)]
    (references / "a.png").unlink()
    with pytest.raises(EvaluationError, match="1 of 2 images failed") as caught:
        run(spec, device="cpu")
    assert list(caught.value.failures) == [results / "a.png"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ZeroDivisionError("division by zero"), "a.png: unexpected ZeroDivisionError: division by zero"),
        (RuntimeError("CUDA out of memory."), "a.png: not enough memory: CUDA out of memory."),
    ],
)
def test_any_error_of_an_image_is_reported_with_its_name_and_does_not_stop_the_others(
    error: Exception, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    results = folder_of(tmp_path / "results", {"a.png": 0.4, "b.png": 0.5, "c.png": 0.5})
    spec = ImagesSpec(results=results, references=results)
    load = ResultFolder.load

    def fail_once(self: ResultFolder, path: Path) -> Sample:
        if path.name == "a.png":
            raise error
        return load(self, path)

    monkeypatch.setattr(ResultFolder, "load", fail_once)
    logged: list[int] = []
    with pytest.raises(EvaluationError, match="1 of 3 images failed, the first of them ") as caught:
        run(spec, device="cpu", progress=lambda done, _: logged.append(len(caplog.records)))
    assert words in str(caught.value)
    assert logged == [1, 1, 1]  # the error is logged before the next image
    assert caplog.records[0].getMessage().endswith(words)


def test_the_ranking_metric_must_be_measured() -> None:
    assert MetricsSpec().ranking_metric == "psnr"
    assert MetricsSpec(features=Path("f"), heads=Path("h")).ranking_metric == "lpips"
    with pytest.raises(OptionError, match=r"ranked by lpips, which is not measured. Measured are psnr, ssim, niqe\."):
        MetricsSpec(rank_by="lpips", niqe=True)
