from __future__ import annotations

import pytest
import torch

from psfr_core.errors import InputError, OptionError
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator
from psfr_core.parsing.parse_map import ParseMap
from psfr_core.restoration.enhance import enhance_faces

GENERATOR = GeneratorConfig((8, 8, 6), 6)


@pytest.fixture
def generator() -> PsfrGenerator:
    return PsfrGenerator(GENERATOR).eval()


def random_map(batch: int, side: int) -> ParseMap:
    return ParseMap(torch.randint(0, 19, (batch, side, side), dtype=torch.uint8))


@torch.no_grad()
def test_is_the_generator_between_zero_and_one(generator: PsfrGenerator) -> None:
    crops, parse_map = torch.rand(3, 3, 64, 64), random_map(3, 64)
    expected = (generator(crops * 2 - 1, parse_map.one_hot).clamp(-1, 1) + 1) / 2
    found = enhance_faces(crops, parse_map, generator, batch_size=2)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_strength_mixes_and_zero_gives_the_crops_bit_for_bit(generator: PsfrGenerator) -> None:
    crops, parse_map = torch.rand(2, 3, 64, 64) * 1.2 - 0.1, random_map(2, 64)
    full = enhance_faces(crops, parse_map, generator)
    assert torch.equal(enhance_faces(crops, parse_map, generator, strength=0), crops)
    torch.testing.assert_close(enhance_faces(crops, parse_map, generator, strength=0.25), 0.75 * crops + 0.25 * full)


def test_the_parse_map_steers_the_result(generator: PsfrGenerator) -> None:
    crops = torch.rand(1, 3, 64, 64)
    skin = ParseMap(torch.ones(1, 64, 64, dtype=torch.uint8))
    hair = ParseMap(torch.full((1, 64, 64), 13, dtype=torch.uint8))
    assert (enhance_faces(crops, skin, generator) - enhance_faces(crops, hair, generator)).abs().max() > 1e-3


@pytest.mark.parametrize("side", [40, 64, 150])
def test_comes_back_in_the_size_of_the_crops(generator: PsfrGenerator, side: int) -> None:
    restored = enhance_faces(torch.rand(1, 3, side, side), random_map(1, side), generator)
    assert restored.shape == (1, 3, side, side)
    assert 0 <= restored.min() <= restored.max() <= 1


def test_progress_counts_faces_and_may_stop(generator: PsfrGenerator) -> None:
    seen: list[tuple[int, int]] = []
    crops, parse_map = torch.rand(3, 3, 64, 64), random_map(3, 64)
    enhance_faces(crops, parse_map, generator, batch_size=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 3), (3, 3)]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        enhance_faces(crops, parse_map, generator, batch_size=1, progress=stop)


def test_half_precision_networks_take_float_crops(generator: PsfrGenerator) -> None:
    crops, parse_map = torch.rand(1, 3, 64, 64), random_map(1, 64)
    expected = enhance_faces(crops, parse_map, generator)
    found = enhance_faces(crops, parse_map, generator.to(torch.bfloat16))
    assert found.dtype == torch.float32
    assert (found - expected).abs().mean() < 0.02


@pytest.mark.parametrize(
    ("shape", "maps", "words"),
    [((1, 3, 64, 60), 1, "square, got 60 x 64"), ((2, 3, 64, 64), 1, "2 crops but 1 parse maps")],
)
def test_bad_inputs_are_refused(generator: PsfrGenerator, shape: tuple[int, ...], maps: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        enhance_faces(torch.rand(shape), random_map(maps, 64), generator)


@pytest.mark.parametrize("options", [{"strength": 1.5}, {"strength": float("nan")}, {"batch_size": 0}])
def test_bad_options_are_refused(generator: PsfrGenerator, options: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        enhance_faces(torch.rand(1, 3, 64, 64), random_map(1, 64), generator, **options)  # type: ignore[arg-type]
