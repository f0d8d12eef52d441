from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from psfr_core.errors import InputError, OptionError
from psfr_core.models.state_dict import fold_spectral_norm
from psfr_core.networks.psfr_generator import PUBLISHED_GENERATOR, GeneratorConfig, PsfrGenerator
from psfr_core.networks.spectral_norm import add_spectral_norm

SMALL = GeneratorConfig((8, 6, 4), 5)


def one_hot(batch: int, side: int) -> torch.Tensor:
    labels = torch.randint(0, 19, (batch, side, side))
    return torch.nn.functional.one_hot(labels, 19).permute(0, 3, 1, 2).float()


@pytest.mark.slow
@torch.no_grad()
def test_equals_the_published_generator(golden: ModuleType) -> None:
    generator = PsfrGenerator(PUBLISHED_GENERATOR).eval()
    generator.load_state_dict(fold_spectral_norm(golden.state_dict("generator")))
    out = generator(golden.image("generator/lq", 1, 512), golden.parse_one_hot("generator/parse", 1, 512))
    assert out.shape == (1, 3, 512, 512)
    assert (out[..., ::8, ::8] - golden.expected("generator/out_stride8")).abs().max() <= 1e-4
    assert (out[..., 200:264, 200:264] - golden.expected("generator/out_crop")).abs().max() <= 1e-4


@pytest.mark.slow
def test_parameters_have_the_published_names_and_shapes(golden: ModuleType) -> None:
    generator = add_spectral_norm(PsfrGenerator(PUBLISHED_GENERATOR))
    published = golden.state_dict("generator")
    assert {key: value.shape for key, value in generator.state_dict().items()} == {
        key: value.shape for key, value in published.items()
    }


@pytest.mark.parametrize(
    ("config", "size"), [(GeneratorConfig((4,)), 16), (SMALL, 64), (PUBLISHED_GENERATOR, 512)], ids=str
)
def test_size_depends_on_the_number_of_stages(config: GeneratorConfig, size: int) -> None:
    assert config.size == size


@pytest.mark.parametrize(
    "config",
    [GeneratorConfig((4,), 3), SMALL, GeneratorConfig((4, 4), 3, residual=True), GeneratorConfig((8, 8, 6, 6), 16)],
)
def test_config_is_inferred_from_weights(config: GeneratorConfig) -> None:
    assert GeneratorConfig.from_state_dict(PsfrGenerator(config).state_dict()) == config


@torch.no_grad()
def test_samples_of_a_batch_are_independent() -> None:
    generator = PsfrGenerator(SMALL).eval()
    lq, parse = torch.rand(3, 3, 64, 64) * 2 - 1, one_hot(3, 64)
    together = generator(lq, parse)
    alone = torch.cat([generator(lq[n : n + 1], parse[n : n + 1]) for n in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


@torch.no_grad()
def test_output_depends_on_both_inputs() -> None:
    generator = PsfrGenerator(SMALL).eval()
    lq, parse = torch.rand(1, 3, 64, 64), one_hot(1, 64)
    out = generator(lq, parse)
    assert (generator(-lq, parse) - out).abs().max() > 1e-3
    assert (generator(lq, parse.roll(1, dims=1)) - out).abs().max() > 1e-3


@torch.no_grad()
def test_runs_in_bfloat16() -> None:
    generator = PsfrGenerator(SMALL).eval()
    lq, parse = torch.rand(1, 3, 64, 64), one_hot(1, 64)
    expected = generator(lq, parse)
    with torch.autocast("cpu", torch.bfloat16):
        found = generator(lq, parse).float()
    assert (found - expected).abs().max() < 0.1 * expected.abs().max()


@pytest.mark.parametrize(
    ("lq", "parse", "words"),
    [
        ((1, 4, 64, 64), (1, 19, 64, 64), r"lq must have the shape \(B, 3, S, S\), got \(1, 4, 64, 64\)"),
        ((1, 3, 64, 64), (1, 18, 64, 64), r"parse_one_hot must have the shape \(B, 19, S, S\)"),
        ((2, 3, 64, 64), (1, 19, 64, 64), "must have the same batch size and side"),
        ((1, 3, 64, 64), (1, 19, 32, 32), "must have the same batch size and side"),
        ((1, 3, 48, 48), (1, 19, 48, 48), r"16 \* 2\^k pixels, got 48 x 48"),
        ((1, 3, 64, 32), (1, 19, 64, 32), r"lq must have the shape \(B, 3, S, S\), got \(1, 3, 64, 32\)"),
        ((1, 3, 8, 8), (1, 19, 8, 8), r"16 \* 2\^k pixels, got 8 x 8"),
    ],
)
def test_invalid_inputs_raise(lq: tuple[int, ...], parse: tuple[int, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        PsfrGenerator(SMALL)(torch.zeros(lq), torch.zeros(parse))


@pytest.mark.parametrize("channels", [(), (4, 0), (4,) * 11])
def test_invalid_configs_raise(channels: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match="1 to 10 stages"):
        GeneratorConfig(channels)


def test_devices_without_bicubic_interpolation_get_it_from_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = PsfrGenerator(GeneratorConfig((8, 6), 4)).eval()
    lq, parse_map = torch.rand(1, 3, 32, 32), torch.rand(1, 19, 32, 32)
    expected = generator(lq, parse_map)
    calls: list[Tensor] = []

    def interpolate(images: Tensor, *args: Any, **options: Any) -> Tensor:
        if options.get("mode") == "bicubic":
            calls.append(images)
            if len(calls) == 1:
                raise NotImplementedError
        return original(images, *args, **options)

    original = torch.nn.functional.interpolate
    monkeypatch.setattr(torch.nn.functional, "interpolate", interpolate)
    assert torch.equal(generator(lq, parse_map), expected)
    assert len(calls) == 2
