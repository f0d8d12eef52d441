"""Test that the checks of the restoration fail if a device or a network misbehaves."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from psfr_core import batch_size
from psfr_core.lab.doctor import behavior
from psfr_core.lab.doctor.behavior import (
    batches,
    check_paste,
    compare_compiled,
    compiled,
    out_of_memory,
    paste_back,
    speed,
)
from psfr_core.lab.doctor.check import Outcome
from psfr_core.lab.doctor.portrait import drawn_crops, drawn_portrait
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator
from psfr_core.restoration.restoration_models import RestorationModels

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def test_paste_back_passes_here() -> None:
    finding = paste_back(CPU)
    assert finding.outcome is Outcome.PASSED
    assert finding.detail.startswith("1 face found; 0 values changed outside the face, ")


def test_one_changed_bit_outside_the_face_fails() -> None:
    image, mask = drawn_portrait(64), torch.zeros(1, 64, 64)
    mask[:, 20:40, 20:40] = 0.5
    pasted = torch.where(mask > 0, image + 0.1, image)
    assert check_paste(image, pasted, mask, 1).outcome is Outcome.PASSED
    assert check_paste(image, pasted, mask, 0).outcome is Outcome.FAILED
    assert check_paste(image, image, mask, 1).outcome is Outcome.FAILED
    pasted[0, 0, 0] = torch.nextafter(image[0, 0, 0], torch.tensor(1.0))
    assert check_paste(image, pasted, mask, 1).detail.startswith("1 face found; 1 values changed outside")


@pytest.fixture
def tiny_models(models: RestorationModels, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the checks use tiny random networks."""
    monkeypatch.setattr(behavior, "bundled_models", lambda *_: models)
    monkeypatch.setattr(behavior, "fastest_dtype", lambda _: torch.float32)


@pytest.mark.usefixtures("tiny_models")
def test_a_batch_equals_single_faces() -> None:
    assert batches(CPU).outcome is Outcome.PASSED


@pytest.mark.usefixtures("tiny_models")
def test_faces_in_the_wrong_order_of_a_batch_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    real = behavior.enhance_faces

    def reversed_in_batches(*inputs: Any, batch_size: int) -> torch.Tensor:
        restored = real(*inputs, batch_size=1)
        return restored.flip(0) if batch_size > 1 else restored

    monkeypatch.setattr(behavior, "enhance_faces", reversed_in_batches)
    assert batches(CPU).outcome is Outcome.FAILED


def test_out_of_memory_errors_are_provoked_and_handled() -> None:
    finding = out_of_memory(CPU)
    assert finding.outcome is Outcome.PASSED
    assert finding.detail.startswith("batches of 8, 4, 2, 2, 2, 2 faces")


def test_an_unknown_out_of_memory_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size, "is_out_of_memory", lambda _: False)
    with pytest.raises(RuntimeError, match="memory"):
        out_of_memory(CPU)


def test_the_check_fails_if_memory_does_not_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behavior, "TOO_MANY_BYTES", 1)
    finding = out_of_memory(CPU)
    assert (finding.outcome, finding.detail[:20]) == (Outcome.FAILED, "batches of 8 faces; ")


def test_compilation_is_skipped_on_a_cpu() -> None:
    assert compiled(CPU).outcome is Outcome.SKIPPED


@pytest.fixture
def generator() -> PsfrGenerator:
    return PsfrGenerator(GeneratorConfig((6, 4), 4)).eval().requires_grad_(False)


def test_failed_compilation_fails_with_its_reason(generator: PsfrGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*_: object) -> None:
        raise RuntimeError("no compiler\nat all")

    monkeypatch.setattr(torch, "compile", lambda function, **_: no_compiler)
    finding = compare_compiled(generator)
    assert finding.outcome is Outcome.FAILED
    assert finding.detail == "torch.compile failed; PsfrGenerator runs uncompiled: no compiler"


@pytest.mark.parametrize(("factor", "outcome"), [(1.0, Outcome.PASSED), (0.99, Outcome.FAILED)])
def test_a_wrong_result_of_the_compiler_fails(
    generator: PsfrGenerator, monkeypatch: pytest.MonkeyPatch, factor: float, outcome: Outcome
) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, **_: lambda *inputs: function(*inputs) * factor)
    assert compare_compiled(generator).outcome is outcome


@pytest.mark.usefixtures("tiny_models")
def test_speed_is_measured() -> None:
    finding = speed(CPU, torch.float32, "any")
    assert finding.outcome is Outcome.NOTED
    seconds, rest = finding.detail.split(" s, ")
    assert 0 < float(seconds) < 300
    assert rest.endswith("per face of 64 px")


def test_crops_show_the_drawn_face_in_fading_light() -> None:
    crops = drawn_crops(8, 64)
    assert crops.shape == (8, 3, 64, 64)
    torch.testing.assert_close(crops[7], crops[0] * 0.7)
    assert crops[0, 0, 32, 32] > crops[0, 2, 32, 32] + 0.2  # skin is reddish
