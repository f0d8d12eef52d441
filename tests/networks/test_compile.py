"""Compiled networks equal the plain networks, and run uncompiled if compilation fails."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from psfr_core.errors import InputError
from psfr_core.networks.inference.compile import compile_for_inference
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator
from psfr_core.restoration.restoration_models import load_models


@pytest.fixture
def generator() -> PsfrGenerator:
    return PsfrGenerator(GeneratorConfig((6, 4), 4)).eval().requires_grad_(False)


def inputs(batch: int = 1) -> tuple[Tensor, Tensor]:
    return torch.rand(batch, 3, 32, 32), torch.rand(batch, 19, 32, 32)


def compiling_as(monkeypatch: pytest.MonkeyPatch, compiled: Callable[..., Any]) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, **options: partial(compiled, function))


@pytest.mark.slow
def test_compiled_networks_equal_the_plain_ones(generator: PsfrGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    parse_net = ParseNet(ParseNetConfig((4, 6), 1)).eval().requires_grad_(False)
    lq, parse_map = inputs(2)
    face = torch.rand(2, 3, 64, 64)
    expected, logits = generator(lq, parse_map), parse_net.parse_logits(face)
    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **_: real(function, backend="eager"))
    compile_for_inference(generator)
    compile_for_inference(parse_net)
    for _ in range(2):
        torch.testing.assert_close(generator(lq, parse_map), expected)
        torch.testing.assert_close(parse_net.parse_logits(face), logits)


def test_results_outlive_the_next_call(generator: PsfrGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = torch.zeros(1)

    def graph(_: object, lq: Tensor, __: Tensor) -> Tensor:  # reuses its output memory, like a CUDA graph
        return buffer.copy_(lq.sum()[None])

    compiling_as(monkeypatch, graph)
    compile_for_inference(generator)
    first, second = generator(torch.ones(1), torch.ones(1)), generator(torch.zeros(1), torch.ones(1))
    assert (first.item(), second.item()) == (1, 0)


def test_failed_compilation_is_logged_once_and_the_network_still_runs(
    generator: PsfrGenerator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_compiler(*_: object) -> Tensor:
        raise RuntimeError("Failed to find C compiler.\nPlease specify one.")

    lq, parse_map = inputs()
    expected = generator(lq, parse_map)
    compiling_as(monkeypatch, no_compiler)
    compile_for_inference(generator)
    for _ in range(2):
        assert torch.equal(generator(lq, parse_map), expected)
    assert [record.getMessage() for record in caplog.records] == [
        "torch.compile failed; PsfrGenerator runs uncompiled: Failed to find C compiler."
    ]


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        InputError("no square"),
    ],
    ids=repr,
)
def test_other_errors_are_raised(
    generator: PsfrGenerator, monkeypatch: pytest.MonkeyPatch, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: object) -> Tensor:
        raise error

    compiling_as(monkeypatch, failing)
    compile_for_inference(generator)
    with pytest.raises(type(error)):
        generator(*inputs())
    assert not caplog.records


def test_cpus_skip_compilation(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(torch, "compile", lambda *_, **__: pytest.fail("compiled on a CPU"))
    load_models(detector="compact-face", device="cpu", compile_networks=True)
    assert "faster without it" in caplog.text
