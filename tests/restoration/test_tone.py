from __future__ import annotations

import pytest
import torch
from torch import Tensor

from psfr_core.images.channels import chroma, luma
from psfr_core.images.filters import gaussian_blur
from psfr_core.restoration.color_match import ColorMatch, match_colors
from psfr_core.restoration.tone import keep_tone


def scene(seed: int, grain: float = 2.0) -> Tensor:
    """Return a smooth random color image (1, 3, 64, 64) with dark and light areas."""
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
    smooth = gaussian_blur(noise, grain)
    return (0.5 + (smooth - 0.5) * 3).clamp(0, 1)


def gray(image: Tensor) -> Tensor:
    return luma(image).expand(-1, 3, -1, -1)


def sepia(image: Tensor) -> Tensor:
    """Apply the sepia matrix of photo editors, which clips red and green in the highlights."""
    return (luma(image) * torch.tensor([1.351, 1.203, 0.937]).view(3, 1, 1)).clamp(0, 1)


def cyanotype(image: Tensor) -> Tensor:
    return luma(image) ** torch.tensor([1.5, 1.0, 0.7]).view(3, 1, 1)


@pytest.mark.parametrize("method", list(ColorMatch))
@pytest.mark.parametrize("side", [64, 61])
def test_equal_channels_give_equal_channels(method: ColorMatch, side: int) -> None:
    crops, restored = gray(scene(1))[..., :side, :side], scene(2)[..., :side, :side]
    matched = match_colors(restored, crops, method)
    assert torch.equal(matched[:, :1].expand_as(matched), matched)
    if method is ColorMatch.NONE:
        torch.testing.assert_close(matched[:, :1], luma(restored))


@pytest.mark.parametrize("tone", [sepia, cyanotype])
def test_a_toned_photo_keeps_its_tone(tone: object) -> None:
    photo, other = tone(scene(3)), tone(scene(4))  # type: ignore[operator]
    tint = torch.tensor([0.04, 0.0, -0.06]).view(3, 1, 1) * (scene(5) - 0.5).sign()
    restored = (other + tint).clamp(0, 1)
    kept = keep_tone(restored, photo)
    assert (chroma(kept) - chroma(other)).abs().mean() < 0.2 * (chroma(restored) - chroma(other)).abs().mean()
    torch.testing.assert_close(luma(kept), luma(restored), atol=0.02, rtol=0)


def test_color_photos_leave_the_result_unchanged() -> None:
    restored = scene(6)
    for photo in (scene(7), gray(scene(7)).lerp(scene(7), 0.3)):  # a color photo and a faded one
        assert torch.equal(keep_tone(restored, photo), restored)


def test_each_crop_of_a_batch_has_its_own_tone() -> None:
    crops, restored = torch.cat([gray(scene(1)), scene(7), sepia(scene(3))]), scene(2).repeat(3, 1, 1, 1)
    together = match_colors(restored, crops, ColorMatch.LOW_FREQUENCY)
    for index in range(3):
        alone = match_colors(restored[index, None], crops[index, None], ColorMatch.LOW_FREQUENCY)
        torch.testing.assert_close(together[index, None], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_crop_of_one_color_gives_a_gray_result(level: float) -> None:
    matched = match_colors(scene(2), torch.full((1, 3, 64, 64), level), ColorMatch.LOW_FREQUENCY)
    assert torch.equal(matched[:, :1].expand_as(matched), matched)
