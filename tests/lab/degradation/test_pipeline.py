import re

import pytest
import torch

from psfr_core.errors import InputError
from psfr_core.images.box import Size
from psfr_core.lab.degradation import operations
from psfr_core.lab.degradation.config import DegradationConfig
from psfr_core.lab.degradation.operations import Interpolation
from psfr_core.lab.degradation.pipeline import (
    Blur,
    BlurKind,
    Degradation,
    Noise,
    apply_degradation,
    degrade,
    sample_degradation,
)

ONLY_RESIZED = Degradation(
    gray=False, blur=None, reduced_side=0.5, interpolation=Interpolation.AREA, noise=None, jpeg_quality=None
)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def smooth_image(height, width, seed=0):
    coarse = torch.rand(1, 3, 6, 6, generator=seeded(seed))
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")[0].clamp(0, 1)


def sampled(config, side, count):
    generator = seeded(1)
    return [sample_degradation(config, side, generator) for _ in range(count)]


def test_samples_have_the_published_frequencies_and_ranges():
    samples = sampled(DegradationConfig(), 512, 4000)
    assert sum(d.gray for d in samples) / 4000 == pytest.approx(0.3, abs=0.03)
    assert sum(d.jpeg_quality is not None for d in samples) / 4000 == pytest.approx(0.7, abs=0.03)
    noises = [d.noise for d in samples if d.noise is not None]
    assert len(noises) / 4000 == pytest.approx(0.2, abs=0.03)
    assert sum(noise.per_channel for noise in noises) / len(noises) == pytest.approx(0.5, abs=0.08)
    assert max(noise.std for noise in noises) == pytest.approx(0.1, abs=0.002)
    assert len({noise.seed for noise in noises}) == len(noises)
    for kind in BlurKind:
        assert sum(d.blur is not None and d.blur.kind is kind for d in samples) / 4000 == pytest.approx(0.125, abs=0.02)
    for interpolation in Interpolation:
        assert sum(d.interpolation is interpolation for d in samples) / 4000 == pytest.approx(0.25, abs=0.03)
    sides = [d.reduced_side for d in samples]
    assert (min(sides), max(sides)) == (pytest.approx(1 / 16, abs=0.002), pytest.approx(1 / 2, abs=0.002))
    qualities = {d.jpeg_quality for d in samples} - {None}
    assert qualities == set(range(35, 91))


@pytest.mark.parametrize("side", [128, 256, 1024])
@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [(BlurKind.GAUSSIAN, 3, 15), (BlurKind.BOX, 3, 15), (BlurKind.MEDIAN, 3, 15), (BlurKind.MOTION, 5, 25)],
)
def test_blur_sizes_scale_with_the_image(kind, low, high, side):
    samples = sampled(DegradationConfig(blur_probability=1.0), side, 1200)
    extents = [d.blur.extent_px for d in samples if d.blur is not None and d.blur.kind is kind]
    scale = side / 512
    assert max(low * scale, 0 if kind is BlurKind.GAUSSIAN else 1) <= min(extents) < (low + 1) * scale + 0.5
    assert (high - 1) * scale < max(extents) <= high * scale


def test_the_same_seed_gives_the_same_image_and_the_next_sample_another():
    hq = smooth_image(40, 48)
    generator = seeded(7)
    first, second = degrade(hq, DegradationConfig(), generator), degrade(hq, DegradationConfig(), generator)
    state = torch.get_rng_state()
    again = degrade(hq, DegradationConfig(), seeded(7))
    assert torch.equal(first.lq, again.lq)
    assert torch.equal(first.hq, again.hq)
    assert not torch.equal(first.lq, second.lq)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 200), (33, 64), (128, 128)])
def test_any_size_is_kept_quantized_and_the_input_unchanged(height, width):
    hq = smooth_image(height, width)
    before = hq.clone()
    generator = seeded(height)
    for _ in range(40):
        lq, target = degrade(hq, DegradationConfig(), generator)
        assert lq.shape == target.shape == hq.shape
        assert lq.dtype == torch.float32
        assert torch.allclose(lq * 255, (lq * 255).round(), atol=1e-3)
        assert 0 <= lq.min() <= lq.max() <= 1
    assert torch.equal(hq, before)


def test_both_images_are_gray_or_both_have_color():
    hq = smooth_image(32, 32)
    gray_pair = apply_degradation(hq, Degradation(True, None, 0.5, Interpolation.AREA, None, None))
    for image in gray_pair:
        assert torch.equal(image[0], image[1])
        assert torch.equal(image[0], image[2])
    pair = apply_degradation(hq, ONLY_RESIZED)
    assert pair.hq is hq
    assert (pair.lq[0] - pair.lq[1]).abs().max() > 0.1


def test_steps_are_applied_in_the_published_order():
    hq = smooth_image(32, 48)
    degradation = Degradation(
        gray=True,
        blur=Blur(BlurKind.BOX, 3.0),
        reduced_side=0.25,
        interpolation=Interpolation.BILINEAR,
        noise=Noise(0.1, per_channel=True, seed=3),
        jpeg_quality=40,
    )
    step = operations.box_blur(operations.gray(hq), 3.0)
    step = operations.resize(step, Size(12, 8), Interpolation.BILINEAR)
    step = operations.jpeg(operations.add_noise(step, 0.1, True, 3), 40)
    expected = operations.quantized(operations.resize(step, Size(48, 32), Interpolation.BICUBIC))
    assert torch.equal(apply_degradation(hq, degradation).lq, expected)


@pytest.mark.parametrize("kind", list(BlurKind))
def test_every_blur_is_applied(kind):
    sharp = (smooth_image(64, 64) > 0.5).float()
    blurred = Blur(kind, 6.0, angle_degrees=30.0).apply(sharp)
    assert blurred.shape == sharp.shape
    assert (blurred - sharp).abs().mean() > 0.005


def test_text_names_the_steps():
    noise = Noise(0.05, per_channel=True, seed=0)
    degradation = Degradation(True, Blur(BlurKind.MOTION, 7.26), 0.25, Interpolation.AREA, noise, 40)
    assert str(degradation) == "gray, motion blur 7.3 px, reduced to 0.250 (area), noise 0.050 per channel, JPEG 40"
    assert str(ONLY_RESIZED) == "reduced to 0.500 (area)"


@pytest.mark.parametrize(
    ("hq", "words"),
    [
        (torch.zeros(1, 3, 8, 8), "hq must have the shape (3, H, W), got (1, 3, 8, 8)"),
        (torch.zeros(4, 8, 8), "hq must have the shape (3, H, W), got (4, 8, 8)"),
        (
            torch.zeros(3, 8, 8, dtype=torch.uint8),
            "floating point dtype of at least 16 bits and values in [0, 1], got torch.uint8",
        ),
    ],
)
def test_unsuitable_images_are_rejected(hq, words):
    with pytest.raises(InputError, match=re.escape(words)):
        degrade(hq, DegradationConfig(), seeded(0))
