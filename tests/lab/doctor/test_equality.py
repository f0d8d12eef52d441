"""Test that the comparisons of networks fail for wrong weights and pass for rounding errors."""

from __future__ import annotations

import pytest
import torch

from psfr_core.lab.doctor.check import Outcome
from psfr_core.lab.doctor.equality import (
    LIMITS,
    compare_detectors,
    compare_generators,
    compare_parsers,
    detector_equality,
    similarity,
)
from psfr_core.models.loader import load_detector_network, load_generator, load_parse_net
from psfr_core.networks.inference.optimize import optimized_on

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.slow
def test_one_altered_channel_of_a_generator_fails() -> None:
    plain, altered = load_generator("psfrgan-256"), load_generator("psfrgan-256")
    optimized = optimized_on(load_generator("psfrgan-256"), CPU, torch.float32)
    assert compare_generators(plain, optimized, torch.float32).outcome is Outcome.PASSED
    altered.body[-1][1].weight[0].mul_(1.5)  # type: ignore[index,operator]
    finding = compare_generators(plain, altered, torch.float32)
    assert finding.outcome is Outcome.FAILED
    assert "at least 75 needed" in finding.detail


def test_one_altered_class_of_a_parser_fails() -> None:
    plain, altered = load_parse_net("parsenet-256"), load_parse_net("parsenet-256")
    assert compare_parsers(plain, plain, torch.float32).detail.startswith("100.000% of the labels")
    altered.out_mask_conv.conv2d.bias[13] += 1  # type: ignore[union-attr,index,operator]
    assert compare_parsers(plain, altered, torch.bfloat16).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("channel", "change", "word"),
    [(0, 0.1, "scores by"), (7, 0.02, "landmarks differ"), (0, -9, "0 faces found, 1 on")],
)
def test_an_altered_head_of_a_detector_fails(channel: int, change: float, word: str) -> None:
    plain, altered = load_detector_network("compact-face"), load_detector_network("compact-face")
    altered.head[1].bias[channel] += change  # type: ignore[union-attr,index,operator]
    finding = compare_detectors(plain, altered)
    assert finding.outcome is Outcome.FAILED
    assert word in finding.detail


def test_the_bundled_detector_is_equal_on_the_cpu() -> None:
    assert detector_equality(CPU).outcome is Outcome.PASSED


@pytest.mark.parametrize("dtype", LIMITS)
def test_the_psnr_limit_separates_passed_from_failed(dtype: torch.dtype) -> None:
    expected = torch.full((1, 3, 8, 8), 0.5)
    error = 10 ** (-LIMITS[dtype].psnr / 20)
    outcomes = [similarity(expected + error * factor, expected, dtype).outcome for factor in (0.95, 1.05)]
    assert outcomes == [Outcome.PASSED, Outcome.FAILED]
    assert similarity(torch.full_like(expected, float("nan")), expected, dtype).outcome is Outcome.FAILED
