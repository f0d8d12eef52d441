from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from psfr_core.errors import InputError
from psfr_core.images.channels import to_rgb
from psfr_core.images.filters import gaussian_blur
from psfr_core.images.io import read_image
from psfr_core.images.resize import resize
from psfr_core.models.loader import load_generator, load_parse_net
from psfr_core.networks.inference.optimize import optimized_on
from psfr_core.parsing.parser import parse_faces
from psfr_core.restoration.automatic_strength import automatic_strength
from psfr_core.restoration.color_match import ColorMatch, match_colors
from psfr_core.restoration.enhance import enhance_faces
from psfr_core.restoration.photo_quality import fine_correlation, noise_level
from psfr_core.restoration.restoration_models import BUNDLED_GENERATOR, BUNDLED_PARSE_NET

FACES = sorted((Path(__file__).parents[1] / "data" / "faces").glob("*.jpg"))


@pytest.fixture(scope="module")
def clean() -> Tensor:
    """Return four clean faces of 256 px, of which the second has fine texture almost everywhere."""
    return torch.stack([to_rgb(read_image(path).pixels) for path in FACES])


def reduced(faces: Tensor, side: int) -> Tensor:
    return resize(resize(faces, (side, side)), (256, 256)).clamp(0, 1)


def noisy(faces: Tensor, std: float) -> Tensor:
    return (faces + std * torch.randn(faces.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)


@pytest.mark.slow
@torch.no_grad()
def test_the_strength_is_0_for_sharp_faces_and_1_for_soft_and_noisy_faces(clean: Tensor) -> None:
    generator, parse_net = load_generator(BUNDLED_GENERATOR), load_parse_net(BUNDLED_PARSE_NET)
    photos = torch.cat([clean[:2], reduced(clean[2:3], 64), noisy(clean[3:], 0.05)])
    restored = enhance_faces(
        photos, parse_faces(photos, parse_net), optimized_on(generator, torch.device("cpu"), torch.float32)
    )
    strengths = automatic_strength(match_colors(restored, photos, ColorMatch.LOW_FREQUENCY), photos)
    assert strengths.tolist() == [0, 0, 1, 1]


def test_the_strength_rises_with_blur_and_with_the_removed_noise(clean: Tensor) -> None:
    blurred = [gaussian_blur(clean, sigma) for sigma in (0, 0.5, 0.7, 0.8, 0.9, 1, 1.5)]
    by_blur = torch.stack([automatic_strength(clean, photos) for photos in blurred])
    by_noise = torch.stack(
        [automatic_strength(noisy(clean, 0.9 * std), noisy(clean, std)) for std in (0, 0.01, 0.015, 0.02, 0.03, 0.06)]
    )
    for strengths in (by_blur, by_noise):
        assert (strengths.diff(dim=0) >= 0).all()
        assert strengths[0].max() == 0
        assert strengths[-1].min() == 1
        assert ((strengths > 0) & (strengths < 1)).any()


def test_noise_that_the_result_keeps_does_not_raise_the_strength(clean: Tensor) -> None:
    assert automatic_strength(noisy(clean, 0.1), noisy(clean, 0.1)).max() == 0


def test_faces_are_measured_at_the_size_they_were_restored_at(clean: Tensor) -> None:
    large = F.interpolate(clean, scale_factor=2, mode="nearest")
    result = gaussian_blur(resize(clean, (512, 512)), 0.8)  # similar to the result of a generator for 256 px
    assert automatic_strength(result, large).min() > 0.9
    assert automatic_strength(result, large, [256, 512, 512, 256])[[0, 3]].tolist() == [0, 0]


def test_each_face_has_its_own_strength(clean: Tensor) -> None:
    photos = torch.cat([clean[:1], reduced(clean[1:2], 64), clean[2:]])
    assert automatic_strength(clean, photos).tolist() == [0, 1, 0, 0]


def test_noise_is_measured_in_the_mean_channel() -> None:
    flat = torch.full((2, 3, 200, 200), 0.5)
    gray, colored = 0.02 * torch.randn(2, 1, 200, 200), 0.02 * torch.randn(2, 3, 200, 200)
    torch.testing.assert_close(noise_level(flat + gray), torch.full((2,), 0.02), atol=0.001, rtol=0)
    torch.testing.assert_close(noise_level(flat + colored), torch.full((2,), 0.02 / 3**0.5), atol=0.001, rtol=0)


def test_edges_hair_and_wrinkles_hardly_count_as_noise(clean: Tensor) -> None:
    bars = torch.zeros(1, 3, 128, 128)
    bars[..., ::16] = 1
    assert noise_level(bars).item() == 0
    assert noise_level(clean)[[0, 2, 3]].max() < 0.004
    assert noise_level(clean).max() < noise_level(noisy(clean, 0.03)).min()


def test_the_correlation_ignores_contrast_and_is_0_for_flat_images(clean: Tensor) -> None:
    torch.testing.assert_close(fine_correlation(clean, 0.5 * clean + 0.1), torch.ones(4), atol=1e-4, rtol=0)
    flat = torch.full_like(clean, 0.5)
    assert fine_correlation(clean, flat).abs().max() < 1e-3
    assert automatic_strength(clean, flat).tolist() == [1] * 4


def test_shapes_must_agree(clean: Tensor) -> None:
    with pytest.raises(InputError, match="must have the same shape"):
        automatic_strength(clean, clean[:1])
