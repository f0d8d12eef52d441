"""Test the inputs, losses and sizes of the ablated networks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from psfr_core.lab.training.ablations import Ablation, parameter_count
from psfr_core.lab.training.generator_losses import GeneratorLossConfig
from psfr_core.lab.training.losses import region_style_loss
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator

CONFIG = GeneratorConfig((24, 16, 12), 8)


def faces() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    labels = torch.randint(19, (2, 64, 64))
    return torch.rand(2, 3, 64, 64) * 2 - 1, torch.nn.functional.one_hot(labels, 19).permute(0, 3, 1, 2).float()


@torch.no_grad()
def changes(ablation: Ablation, of: str) -> float:
    """Return the relative change of the output when ``of``, the detail of the face or the parse map, is changed."""
    network = ablation.network(CONFIG)
    lq, parse_map = faces()
    before = network(lq, parse_map)
    checkers = torch.ones(64, 64)
    checkers[::2, 1::2] = checkers[1::2, ::2] = -1  # a pattern that disappears at 16 px
    after = network(lq + 0.5 * checkers, parse_map) if of == "detail" else network(lq, parse_map.roll(1, dims=1))
    return float((after - before).abs().mean() / before.std())


@pytest.mark.parametrize("ablation", list(Ablation))
def test_each_variant_uses_only_its_inputs(ablation: Ablation) -> None:
    uses_map = ablation is not Ablation.NO_PARSE_MAP
    uses_detail = ablation is not Ablation.COARSE_REFERENCE
    assert (changes(ablation, "parse map") > 1e-2) == uses_map
    assert (changes(ablation, "detail") > 1e-3) == uses_detail


@pytest.mark.parametrize("ablation", list(Ablation))
def test_all_variants_have_about_as_many_parameters(ablation: Ablation) -> None:
    count = parameter_count(PsfrGenerator(CONFIG))
    assert parameter_count(ablation.network(CONFIG)) == pytest.approx(count, rel=0.15)


def test_losses_differ_only_in_the_style_term() -> None:
    weights = GeneratorLossConfig(style=3.0)
    assert Ablation.NO_STYLE_LOSS.losses(weights) == GeneratorLossConfig(style=0.0)
    assert Ablation.GLOBAL_STYLE_LOSS.losses(weights) == GeneratorLossConfig(style=3.0, style_per_region=False)
    assert all(
        ablation.losses(weights) == weights
        for ablation in (Ablation.FULL, Ablation.NO_PARSE_MAP, Ablation.COARSE_REFERENCE, Ablation.ENCODER_DECODER)
    )


def test_global_style_ignores_positions() -> None:
    features = torch.rand(1, 4, 8, 8)
    shifted = features.roll(4, dims=-1)  # the style is equal in the whole image, but not in each half
    halves = torch.zeros(1, 2, 8, 8)
    halves[:, 0, :, :4] = halves[:, 1, :, 4:] = 1
    assert float(region_style_loss([shifted], [features], torch.ones(1, 1, 8, 8))) == pytest.approx(0, abs=1e-10)
    assert float(region_style_loss([shifted], [features], halves)) > 1e-4
