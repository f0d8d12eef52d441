"""Test degradations with several passes, and the presets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from psfr_core.errors import OptionError
from psfr_core.images.box import Size
from psfr_core.lab.degradation.config import DegradationConfig, DegradationPreset, load_degradation, load_degradations
from psfr_core.lab.degradation.operations import Interpolation, jpeg, quantized, resize
from psfr_core.lab.degradation.pipeline import Degradation, apply_degradation, degrade, sample_degradation

HARDER = DegradationPreset.HARDER.config


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_second_pass_sees_the_reduced_image() -> None:
    hq = torch.rand(3, 64, 64, generator=seeded(0))
    second = Degradation(False, None, 0.25, Interpolation.AREA, None, None)
    both = Degradation(False, None, 0.5, Interpolation.AREA, None, 30, then=second)
    once = jpeg(resize(hq, Size(32, 32), Interpolation.AREA), 30)
    twice = quantized(resize(once, Size(16, 16), Interpolation.AREA))
    expected = quantized(resize(twice, Size(64, 64), Interpolation.BICUBIC))
    assert torch.equal(apply_degradation(hq, both).lq, expected)
    assert str(both) == "reduced to 0.500 (area), JPEG 30, then reduced to 0.250 (area)"


def test_lengths_scale_with_the_size_of_each_pass() -> None:
    config = replace(
        DegradationConfig(), blur_probability=1.0, gaussian_sigma_px=(8, 8), box_size_px=(40, 40),
        median_size_px=(31, 31), motion_length_px=(40, 40), reduced_side=(0.25, 0.25), passes=2,
    )  # fmt: skip
    extents = {"gaussian": (8, 2), "box": (40, 10), "median": (31, 7.75), "motion": (40, 10)}
    seen: set[str] = set()
    for seed in range(40):
        first = sample_degradation(config, 512, seeded(seed))
        assert first.blur is not None
        assert first.then is not None
        assert first.then.blur is not None
        assert (first.then.then, first.then.gray) == (None, False)
        assert first.blur.extent_px == extents[first.blur.kind.value][0]
        assert first.then.blur.extent_px == extents[first.then.blur.kind.value][1]
        seen |= {first.blur.kind.value, first.then.blur.kind.value}
    assert seen == set(extents)


def test_the_first_pass_does_not_depend_on_further_passes() -> None:
    for seed in range(20):
        one = sample_degradation(DegradationConfig(), 256, seeded(seed))
        two = sample_degradation(DegradationConfig(passes=2), 256, seeded(seed))
        assert replace(two, then=None) == one


def test_the_harder_preset_is_harder_and_reproducible() -> None:
    hq = torch.nn.functional.interpolate(torch.rand(1, 3, 16, 16, generator=seeded(3)), size=(128, 128), mode="bicubic")
    hq = hq[0].clamp(0, 1)

    def error(config: DegradationConfig) -> float:
        pairs = [degrade(hq, config, seeded(seed)) for seed in range(60)]
        return sum(float((pair.lq - pair.hq).square().mean()) for pair in pairs) / len(pairs)

    assert error(HARDER) > 1.2 * error(DegradationConfig())
    assert torch.equal(degrade(hq, HARDER, seeded(5)).lq, degrade(hq, HARDER, seeded(5)).lq)


@pytest.mark.parametrize(
    ("preset", "seed", "expected", "following"),
    [
        (DegradationPreset.PAPER, 0, "reduced to 0.101 (nearest), JPEG 62", 0.8964447379112244),
        (DegradationPreset.PAPER, 3, "gray, box blur 1.7 px, reduced to 0.269 (nearest)", 0.5944212079048157),
        (
            DegradationPreset.HARDER,
            3,
            "gray, box blur 1.7 px, reduced to 0.269 (nearest), JPEG 66, then reduced to 0.260 (area), noise 0.005 per channel",
            0.8473186492919922,
        ),
        (
            DegradationPreset.HARDER,
            7,
            "box blur 5.4 px, reduced to 0.164 (area), noise 0.037, JPEG 47, then median blur 1.0 px, reduced to 0.378 "
            "(nearest), JPEG 83",
            0.41317241,
        ),
    ],
)
def test_each_seed_keeps_its_degradation(preset: DegradationPreset, seed: int, expected: str, following: float) -> None:
    """Test recorded values: metrics of earlier runs depend on the degradations, and on the number of random draws."""
    generator = seeded(seed)
    assert str(sample_degradation(preset.config, 256, generator)) == expected
    assert float(torch.rand((), generator=generator)) == pytest.approx(following, abs=1e-6)


def test_lists_of_degradations_load() -> None:
    assert load_degradations("harder") == [HARDER]
    assert load_degradations(["paper", "harder", "paper"]) == [DegradationConfig(), HARDER, DegradationConfig()]
    with pytest.raises(OptionError, match="needs at least one entry"):
        load_degradations([])


def test_degradations_load_by_name_and_from_a_file(tmp_path: Path) -> None:
    assert load_degradation("paper") == DegradationConfig()
    file = tmp_path / "ranges.json"
    file.write_text(json.dumps(HARDER.to_dict()))
    assert load_degradation("harder") == load_degradation(str(file)) == HARDER
    for text, message in (
        ("[1]", "must contain a JSON object"),
        ("{", "neither a preset"),
        ('{"blur": 1}', "Unknown fields of a degradation: blur"),
    ):
        file.write_text(text)
        with pytest.raises(OptionError, match=message):
            load_degradation(str(file))
    with pytest.raises(OptionError, match="paper, harder, old, none"):
        load_degradation("hardest")


@pytest.mark.parametrize("passes", [0, 5, 1.5])
def test_passes_out_of_range_are_rejected(passes: int) -> None:
    with pytest.raises(OptionError, match="passes must be an integer from 1 to 4"):
        DegradationConfig(passes=passes)
