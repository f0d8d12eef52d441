"""Test the look and the damage of old photographs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from psfr_core.images.channels import luma
from psfr_core.lab.degradation.config import DegradationPreset
from psfr_core.lab.degradation.old_photo import (
    Dust,
    Fading,
    FilmGrain,
    Halftone,
    OldPhoto,
    Paper,
    ScanLines,
    Scratches,
    Step,
    Toning,
    UnevenFocus,
    sample_old_photo,
)
from psfr_core.lab.degradation.old_photo_config import OldPhotoConfig
from psfr_core.lab.degradation.operations import gaussian_blur, quantized
from psfr_core.lab.degradation.pipeline import (
    Degradation,
    Interpolation,
    apply_degradation,
    degrade,
    sample_degradation,
)
from psfr_core.lab.degradation.sampler import Sampler

OLD = DegradationPreset.OLD.config


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plain(value: float, side: int = 200) -> Tensor:
    return torch.full((3, side, side), value)


def neighbor_correlation(image: Tensor) -> float:
    pattern = image[0] - image[0].mean()
    return float((pattern[:, 1:] * pattern[:, :-1]).mean() / pattern.square().mean())


def test_focus_is_sharp_in_some_parts_and_blurred_in_others() -> None:
    image = torch.rand(3, 128, 128, generator=seeded(0))
    focused = UnevenFocus(3.0, seed=1).apply(image)
    blurred = gaussian_blur(image, 3.0)
    is_sharp = (focused - image).abs().amax(0) < 1e-6
    is_blurred = (focused - blurred).abs().amax(0) < 1e-6
    assert 0.03 < float(is_sharp.float().mean()) < 0.6
    assert 0.03 < float(is_blurred.float().mean()) < 0.6
    assert torch.equal(focused, UnevenFocus(3.0, seed=1).apply(image))
    assert not torch.equal(focused, UnevenFocus(3.0, seed=2).apply(image))


def test_film_grain_is_gray_and_strongest_in_middle_gray() -> None:
    grainy = FilmGrain(0.05, sigma_px=0.8, seed=3).apply(plain(0.5))
    assert torch.equal(grainy[0], grainy[2])
    assert float(grainy.mean()) == pytest.approx(0.5, abs=1e-4)
    assert float(grainy[0].std()) == pytest.approx(0.05, rel=0.01)
    for value in (0.1, 0.9):
        expected = 0.05 * (0.3 + 2.8 * 0.1 * 0.9)
        assert float(FilmGrain(0.05, 0.8, seed=3).apply(plain(value))[0].std()) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("sigma_px", "correlation"), [(0.01, 0.0), (1.0, 0.78), (2.0, 0.94)])
def test_grains_have_the_requested_size(sigma_px: float, correlation: float) -> None:
    # the correlation of neighbors in noise after a Gaussian blur is exp(-1 / (4 sigma^2))
    grainy = FilmGrain(0.05, sigma_px, seed=3).apply(plain(0.5))
    assert neighbor_correlation(grainy) == pytest.approx(correlation, abs=0.03)


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("value", [0.2, 0.5, 0.7])
def test_halftone_is_ink_and_paper_with_the_brightness_of_the_image(value: float, lines: bool) -> None:
    printed = Halftone(7.3, angle_degrees=20, softness=0, lines=lines).apply(plain(value))
    assert float(((printed < 0.01) | (printed > 0.99)).float().mean()) > 0.98
    assert float(printed.mean()) == pytest.approx(value, abs=0.02)


def test_halftone_has_the_requested_period_and_direction() -> None:
    dots = Halftone(8.0, angle_degrees=0, softness=0, lines=False).apply(plain(0.4, 160))
    assert torch.allclose(dots[:, :, 8:], dots[:, :, :-8], atol=1e-3)
    assert torch.allclose(dots, dots.transpose(1, 2), atol=1e-3)
    assert not torch.allclose(dots[:, :, 4:], dots[:, :, :-4], atol=0.5)
    lines = Halftone(8.0, angle_degrees=90, softness=0, lines=True).apply(plain(0.4, 160))
    assert torch.allclose(lines[:, :, 1:], lines[:, :, :-1], atol=1e-3)
    assert torch.allclose(lines[:, 8:], lines[:, :-8], atol=1e-3)


def test_soft_halftone_lets_gray_shine_through() -> None:
    hard, soft = (Halftone(8.0, 30, softness, lines=False).apply(plain(0.5)) for softness in (0.5, 2.0))
    assert float(hard.std()) > 2 * float(soft.std())
    assert float(soft.std()) == pytest.approx(1 / 12**0.5 / 2, rel=0.05)  # a uniform distribution of width 1 / softness


@pytest.mark.parametrize("softness", [0.5, 2.0, 3.0])
@pytest.mark.parametrize("value", [0.25, 0.5, 0.75])
def test_soft_halftone_keeps_the_mean_brightness(value: float, softness: float) -> None:
    printed = Halftone(8.0, 30, softness, lines=False).apply(plain(value, 160))
    assert float(printed.mean()) == pytest.approx(value, abs=0.01)


def test_fading_gives_the_requested_levels() -> None:
    image = torch.tensor([0.0, 0.5, 1.0]).expand(3, 1, 3)
    assert Fading(0.2, 0.8).apply(image)[1, 0].tolist() == pytest.approx([0.2, 0.5, 0.8])


@pytest.mark.parametrize(("hue", "order"), [(30, [0, 1, 2]), (210, [2, 1, 0]), (120, [1, 0, 2])])
def test_toning_changes_the_color_and_keeps_the_brightness_of_gray(hue: float, order: list[int]) -> None:
    toned = Toning(hue, 0.2).apply(plain(0.5, 4))
    values = toned[:, 0, 0]
    assert values[order[0]] > values[order[1]] + 0.02 or hue == 120
    assert values[order[0]] > values[order[2]] + 0.05
    assert float(luma(toned).mean()) == pytest.approx(0.5, abs=1e-5)
    assert torch.equal(Toning(hue, 0.2).apply(plain(0.0, 4)), plain(0.0, 4))


def test_paper_has_fibers_and_stains_in_proportion_to_the_brightness() -> None:
    bright, dark = (Paper(0.04, sigma_px=1.0, seed=5).apply(plain(value)) for value in (0.8, 0.4))
    assert torch.allclose(bright, 2 * dark, atol=1e-5)
    fibers = bright[0] - gaussian_blur(bright, 8.0)[0]
    assert float(fibers.std()) / 0.8 == pytest.approx(0.04, rel=0.1)
    stains = gaussian_blur(bright, 8.0)[0]
    assert 0.005 < float(stains.std()) / 0.8 < 0.04


def test_scratches_are_few_thin_lines_in_light_or_dark() -> None:
    image = plain(0.5)
    assert torch.equal(Scratches(0, 2.0, seed=1).apply(image), image)
    for seed in range(5):
        one = Scratches(1, 2.0, seed).apply(image)[0]
        rows, columns = ((one - 0.5).abs() > 0.02).nonzero().unbind(1)
        length = float(rows.max() - rows.min() + columns.max() - columns.min()) if len(rows) else 0.0
        assert len(rows) <= 5 * (length + 1)  # at most 3 px wide, and a soft edge at each side
        assert 0.05 - 1e-6 <= one.min() <= one.max() <= 0.95 + 1e-6
    changed = [float((Scratches(20, width, 1).apply(image) != 0.5).float().mean()) for width in (1.0, 4.0)]
    assert changed[0] < 0.15
    assert changed[1] > 1.5 * changed[0]


def test_dust_covers_at_most_the_area_of_its_circles() -> None:
    image = plain(0.5)
    dusty = Dust(30, radius_px=4.0, seed=2).apply(image)[0]
    cover = (dusty - 0.5).abs() / 0.45
    assert 30 < float(cover.sum()) < 30 * 3.15 * 4.5**2
    assert bool((dusty > 0.7).any())
    assert bool((dusty < 0.3).any())
    assert 0.05 - 1e-6 <= dusty.min() <= dusty.max() <= 0.95 + 1e-6


@pytest.mark.parametrize("vertical", [False, True])
def test_scan_lines_are_constant_along_rows_or_columns(vertical: bool) -> None:
    lines = ScanLines(0.03, vertical, seed=4).apply(plain(0.5, 400))[0]
    along, across = (0, 1) if vertical else (1, 0)
    assert float(lines.std(dim=along).max()) < 1e-6
    deviation = lines.mean(dim=along) / 0.5 - 1
    assert float(deviation.std()) == pytest.approx(0.03, rel=0.3)
    assert float(deviation.abs().median()) < 0.5 * 0.03  # few lines are conspicuous
    assert lines.shape[across] == 400


def test_the_target_keeps_the_look_without_the_damage() -> None:
    old = OldPhoto((FilmGrain(0.05, 1.0, 0),), (Fading(0.2, 0.8), Toning(30, 0.2)), (Dust(5, 3.0, 1),))
    degradation = Degradation(True, None, 1.0, Interpolation.AREA, None, None, old_photo=old)
    image = torch.rand(3, 64, 64, generator=seeded(1))
    lq, hq = apply_degradation(image, degradation)
    gray = luma(image).expand(3, -1, -1)
    assert torch.allclose(hq, Toning(30, 0.2).apply(Fading(0.2, 0.8).apply(gray)))
    expected = FilmGrain(0.05, 1.0, 0).apply(gray)
    expected = Dust(5, 3.0, 1).apply(Toning(30, 0.2).apply(Fading(0.2, 0.8).apply(expected)))
    assert torch.allclose(lq, quantized(expected), atol=1e-6)
    assert str(degradation) == (
        "gray, film grain 0.050, faded to 0.20-0.80, toned 0.20 at 30 degrees, 5 grains of dust, reduced to 1.000 (area)"
    )


def sampled_steps(scale: float = 1.0, count: int = 2000) -> Iterator[list[Step]]:
    sampler = Sampler(seeded(7))
    for _ in range(count):
        old = sample_old_photo(OldPhotoConfig(), scale, sampler)
        yield [*old.printed, *old.look, *old.damage]


def test_steps_have_their_frequencies_and_ranges() -> None:
    found: dict[type, list[Step]] = {}
    for steps in sampled_steps():
        for step in steps:
            found.setdefault(type(step), []).append(step)
    frequencies = {UnevenFocus: 0.5, FilmGrain: 0.7, Halftone: 0.25, Fading: 0.6, Toning: 0.5, Paper: 0.5}
    frequencies |= {Scratches: 0.35, Dust: 0.5, ScanLines: 0.25}
    assert {kind: len(steps) / 2000 for kind, steps in found.items()} == pytest.approx(frequencies, abs=0.04)
    periods = [step.period_px for step in found[Halftone] if isinstance(step, Halftone)]
    assert (min(periods), max(periods)) == (pytest.approx(4, abs=0.1), pytest.approx(9, abs=0.1))
    hues = [step.hue_degrees for step in found[Toning] if isinstance(step, Toning)]
    assert (min(hues), max(hues)) == (pytest.approx(20, abs=0.5), pytest.approx(50, abs=0.5))


def test_lengths_scale_with_the_image_and_levels_do_not() -> None:
    for whole, half in zip(sampled_steps(1.0, 100), sampled_steps(0.5, 100), strict=True):
        for large, small in zip(whole, half, strict=True):
            for name, value in vars(large).items():
                factor = 0.5 if name.endswith("_px") else 1
                assert getattr(small, name) == pytest.approx(factor * value)


def test_the_preset_is_reproducible_and_mostly_gray_or_toned() -> None:
    image = torch.nn.functional.interpolate(torch.rand(1, 3, 9, 9, generator=seeded(1)), size=(96, 96))[0]
    one, other = (degrade(image, OLD, seeded(5)) for _ in range(2))
    assert torch.equal(one.lq, other.lq)
    assert torch.equal(one.hq, other.hq)
    samples = [sample_degradation(OLD, 256, seeded(seed)) for seed in range(300)]
    assert sum(sample.gray for sample in samples) / 300 == pytest.approx(0.9, abs=0.05)
    assert all(sample.old_photo is not None for sample in samples)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 90), (33, 20)])
def test_any_size_and_dtype_is_kept(height: int, width: int, dtype: torch.dtype) -> None:
    image = torch.rand(3, height, width, generator=seeded(2)).to(dtype)
    for seed in range(25):
        for part in degrade(image, OLD, seeded(seed)):
            assert (part.shape, part.dtype) == (image.shape, dtype)
            assert 0 <= float(part.min()) <= float(part.max()) <= 1  # false for NaN


def test_the_preset_none_only_quantizes() -> None:
    image = torch.rand(3, 40, 30, generator=seeded(0))
    for seed in range(12):
        pair = degrade(image, DegradationPreset.NONE.config, seeded(seed))
        assert torch.equal(pair.lq, quantized(image))
        assert pair.hq is image
