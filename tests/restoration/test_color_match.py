from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from psfr_core.errors import InputError
from psfr_core.images.channels import luma
from psfr_core.images.filters import gaussian_blur
from psfr_core.restoration.color_match import ColorMatch, match_colors


def test_color_casts_are_removed_and_detail_is_kept() -> None:
    detail = 0.1 * torch.arange(64).remainder(2).float().expand(1, 3, 64, 64)
    crops = torch.full((1, 3, 64, 64), 0.4)
    restored = crops + detail + torch.tensor([0.2, 0.0, -0.1]).view(1, 3, 1, 1)
    matched = match_colors(restored, crops, ColorMatch.LOW_FREQUENCY)
    # The mean becomes that of the photo, and the stripes keep their contrast.
    torch.testing.assert_close(matched.mean(dim=(2, 3)), torch.full((1, 3), 0.4), atol=2e-3, rtol=0)
    inner = slice(16, 48)
    torch.testing.assert_close(matched.diff(dim=3)[..., inner], restored.diff(dim=3)[..., inner], atol=2e-3, rtol=0)


def test_light_from_one_side_is_kept() -> None:
    crops = torch.linspace(0.2, 0.8, 64).expand(1, 3, 64, 64)
    matched = match_colors(torch.full((1, 3, 64, 64), 0.5), crops, ColorMatch.LOW_FREQUENCY)
    middle = slice(16, 48)  # elsewhere, the blur extends beyond the border
    torch.testing.assert_close(matched[..., middle], crops[..., middle], atol=0.01, rtol=0)


@pytest.mark.parametrize(("method", "sigma"), [(ColorMatch.LOW_FREQUENCY, 0.06), (ColorMatch.DETAIL_ONLY, 0.02)])
@pytest.mark.parametrize("period", [0.1, 0.2, 0.4])
def test_stripes_are_transferred_by_the_response_of_the_blur(method: ColorMatch, sigma: float, period: float) -> None:
    """Compare stripes with the Gaussian's response; ``period`` and ``sigma`` are fractions of the crop's side."""
    stripes = 0.2 * torch.cos(2 * math.pi / (100 * period) * torch.arange(100.0)).expand(1, 3, 100, 100)
    matched = match_colors(torch.full((1, 3, 100, 100), 0.5), 0.5 + stripes, method)
    response = math.exp(-2 * (math.pi * sigma / period) ** 2)
    inner = slice(25, 75)  # elsewhere, the blur extends beyond the border
    torch.testing.assert_close((matched - 0.5)[..., inner], response * stripes[..., inner], atol=5e-4, rtol=0)


def test_detail_only_takes_fine_detail_from_the_generator_and_nothing_else() -> None:
    detail = 0.1 * (torch.arange(128.0).remainder(2) - 0.5).expand(1, 3, 128, 128)
    shading = F.interpolate(torch.rand(1, 3, 4, 4) * 0.6 + 0.2, (128, 128), mode="bicubic").clamp(0.1, 0.9)
    matched = match_colors(0.5 + detail, shading, ColorMatch.DETAIL_ONLY)[..., 16:-16, 16:-16]
    torch.testing.assert_close(matched, (shading + detail)[..., 16:-16, 16:-16], atol=0.015, rtol=0)


def test_color_match_none_leaves_the_result_unchanged() -> None:
    restored = torch.rand(2, 3, 16, 16)
    assert torch.equal(match_colors(restored, torch.rand(2, 3, 16, 16), ColorMatch.NONE), restored)


def test_shapes_must_agree() -> None:
    with pytest.raises(InputError, match="must have the same shape"):
        match_colors(torch.rand(1, 3, 16, 16), torch.rand(2, 3, 16, 16), ColorMatch.LOW_FREQUENCY)


def colored_spot(color: tuple[float, float, float]) -> torch.Tensor:
    """Return shaded skin (1, 3, 128, 128) with a spot that is as large as an iris."""
    offset = torch.arange(128.0) - 64
    skin = torch.tensor([0.8, 0.6, 0.5]).view(3, 1, 1) * (1 - 0.2 * torch.cos(offset / 5))
    is_spot = offset[:, None] ** 2 + offset**2 < 5**2
    return torch.where(is_spot, torch.tensor(color).view(3, 1, 1), skin)[None]


BROWN, GRAY = (0.35, 0.2, 0.1), (0.24, 0.24, 0.24)


def spot_of(image: torch.Tensor) -> torch.Tensor:
    return image[0, :, 62:66, 62:66].mean((1, 2))


def test_the_iris_color_of_a_clear_photo_is_kept() -> None:
    photo, restored = colored_spot(BROWN), colored_spot((0.29, 0.22, 0.17))
    spot = spot_of(match_colors(restored, photo, ColorMatch.LOW_FREQUENCY))
    torch.testing.assert_close(spot - spot.mean(), spot_of(photo) - spot_of(photo).mean(), atol=0.02, rtol=0)


def test_chroma_noise_of_the_photo_does_not_reach_the_result() -> None:
    noise = 0.15 * torch.randn(1, 3, 128, 128)
    restored = colored_spot(BROWN)
    matched = match_colors(restored, (colored_spot(GRAY) + noise).clamp(0, 1), ColorMatch.LOW_FREQUENCY)
    difference = (matched - restored)[0, :, 32:96, 32:96]
    assert difference.diff(dim=-1).abs().mean() < 0.01


@pytest.mark.slow
def test_large_crops_get_the_correction_of_their_full_size() -> None:
    """Compare the correction, which is computed at a reduced size, with the blur at the full size."""
    torch.manual_seed(1)
    crops = F.interpolate(torch.rand(1, 3, 12, 12), (1024, 1024), mode="bicubic").clamp(0.3, 0.7)
    restored = (crops + 0.2 * F.interpolate(torch.rand(1, 3, 24, 24) - 0.5, (1024, 1024), mode="bicubic")).clamp(0, 1)
    matched = match_colors(restored, crops, ColorMatch.LOW_FREQUENCY)
    expected = (restored + gaussian_blur(crops - restored, 0.06 * 1024)).clamp(0, 1)
    difference = luma(matched) - luma(expected)
    assert difference.abs().max() < 2e-3
    assert (luma(restored) - luma(expected)).abs().max() > 0.02  # the correction is not trivial


@pytest.mark.parametrize("method", [ColorMatch.LOW_FREQUENCY, ColorMatch.DETAIL_ONLY])
def test_many_faces_are_matched_like_single_ones(method: ColorMatch) -> None:
    restored, crops = torch.rand(11, 3, 16, 16), torch.rand(11, 3, 16, 16)
    alone = torch.cat([match_colors(restored[n : n + 1], crops[n : n + 1], method) for n in range(11)])
    torch.testing.assert_close(match_colors(restored, crops, method), alone)
