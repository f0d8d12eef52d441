from __future__ import annotations

import pytest
import torch

from psfr_core.errors import InputError, OptionError, PsfrError
from psfr_core.networks.inference.optimize import optimize_for_inference
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
def test_the_output_of_the_generator_is_mapped_to_0_to_1(generator: PsfrGenerator) -> None:
    crops, parse_map = torch.rand(3, 3, 64, 64), random_map(3, 64)
    expected = (generator(crops * 2 - 1, parse_map.one_hot).clamp(-1, 1) + 1) / 2
    found = enhance_faces(crops, parse_map, generator, batch_size=2)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_the_parse_map_changes_the_result(generator: PsfrGenerator) -> None:
    crops = torch.rand(1, 3, 64, 64)
    skin = ParseMap(torch.ones(1, 64, 64, dtype=torch.uint8))
    hair = ParseMap(torch.full((1, 64, 64), 13, dtype=torch.uint8))
    assert (enhance_faces(crops, skin, generator) - enhance_faces(crops, hair, generator)).abs().max() > 1e-3


@pytest.mark.parametrize("side", [40, 64, 150])
def test_results_have_the_size_of_the_crops(generator: PsfrGenerator, side: int) -> None:
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
    [((1, 3, 64, 60), 1, r"crops must have the shape \(B, 3, S, S\)"), ((2, 3, 64, 64), 1, "2 crops but 1 parse maps")],
)
def test_bad_inputs_are_refused(generator: PsfrGenerator, shape: tuple[int, ...], maps: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        enhance_faces(torch.rand(shape), random_map(maps, 64), generator)


def test_each_crop_needs_a_side(generator: PsfrGenerator) -> None:
    with pytest.raises(InputError, match="one entry for each of the 2 crops, got 1"):
        enhance_faces(torch.rand(2, 3, 64, 64), random_map(2, 64), generator, sides=[100.0])


def test_an_enlarged_map_restores_the_same_face(generator: PsfrGenerator) -> None:
    crops, parse_map = torch.rand(1, 3, 64, 64), random_map(1, 64)
    enlarged = ParseMap(parse_map.labels.repeat_interleave(3, 1).repeat_interleave(3, 2))
    assert torch.equal(enhance_faces(crops, enlarged, generator), enhance_faces(crops, parse_map, generator))
    with pytest.raises(InputError, match=r"labels must have the shape \(B, S, S\)"):
        enhance_faces(crops, ParseMap(parse_map.labels[:, :20]), generator)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_nan_in_the_crops_is_reported_for_the_crops(generator: PsfrGenerator, value: float) -> None:
    crops = torch.rand(2, 3, 64, 64)
    crops[1, 0, 5, 5] = value
    with pytest.raises(InputError, match="crops must be finite"):
        enhance_faces(crops, random_map(2, 64), generator)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_does_not_change_the_result(generator: PsfrGenerator, dtype: torch.dtype) -> None:
    fast = optimize_for_inference(generator, "cpu", dtype)
    crops, parse_map = torch.rand(1, 3, 64, 64), random_map(1, 64)
    expected = enhance_faces(crops, parse_map, fast)
    with torch.autocast("cpu"):
        assert torch.equal(enhance_faces(crops, parse_map, fast), expected)


def test_nan_from_the_generator_is_an_error(generator: PsfrGenerator) -> None:
    weights = generator.state_dict()
    generator.load_state_dict({**weights, "img_out.bias": torch.full((3,), torch.nan)})
    with pytest.raises(PsfrError, match=r"NaN or infinity in torch.float32. Its weights are damaged"):
        enhance_faces(torch.rand(1, 3, 64, 64), random_map(1, 64), generator)


def test_a_generator_in_training_mode_is_refused(generator: PsfrGenerator) -> None:
    with pytest.raises(InputError, match=r"The generator is in training mode. Call eval\(\) first"):
        enhance_faces(torch.rand(1, 3, 64, 64), random_map(1, 64), generator.train())


def test_bad_options_are_refused(generator: PsfrGenerator) -> None:
    with pytest.raises(OptionError, match="batch_size must be an integer from 1 to 4096 or None, got 0"):
        enhance_faces(torch.rand(1, 3, 64, 64), random_map(1, 64), generator, batch_size=0)
