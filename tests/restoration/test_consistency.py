from __future__ import annotations

import pytest
import torch
from torch import Tensor

from psfr_core.errors import InputError
from psfr_core.images.filters import gaussian_blur
from psfr_core.restoration.consistency import contradictions

SIDE = 128


def face(seed: int = 0) -> Tensor:
    """Smooth structure as faces have it (1, 3, 128, 128)."""
    noise = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    smooth = gaussian_blur(noise, 2.5)
    return (0.5 + 0.12 * smooth / smooth.std()).clamp(0, 1)


def strokes() -> Tensor:
    """A mask (1, 1, 128, 128) of letters: bars 3 pixels wide."""
    mask = torch.zeros(1, 1, SIDE, SIDE)
    for left in range(40, 88, 8):
        mask[..., 50:66, left : left + 3] = 1
    return mask


def restorers_own(seed: int) -> Tensor:
    """What a restorer changes everywhere: little, and finer than the photo."""
    return 0.01 * torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def test_lettering_that_was_wiped_stays() -> None:
    clean, letters = face(), strokes()
    kept = contradictions(clean + restorers_own(1), torch.lerp(clean, torch.tensor(0.95), letters))
    assert kept.shape == (1, 1, SIDE, SIDE)
    assert kept[letters > 0].mean() > 0.9
    away = gaussian_blur(letters, 6) < 1e-3
    assert kept[away].max() < 0.01


def test_something_painted_over_a_plain_place_is_taken_back() -> None:
    clean, letters = face(), strokes()
    kept = contradictions(torch.lerp(clean, torch.tensor(0.05), letters), clean + restorers_own(1))
    assert kept[letters > 0].mean() > 0.5


def test_sharpening_is_no_contradiction() -> None:
    sharp = face()
    photo = gaussian_blur(sharp, 1.0) + restorers_own(1)
    assert contradictions(sharp, photo).max() < 0.01
    assert contradictions(photo, photo).max() == 0


def test_what_noise_hides_is_restored_in_full() -> None:
    clean = face()
    noise = 0.25 * torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    noise = gaussian_blur(noise, 1.5)  # as in a photo enlarged from a few pixels
    assert contradictions(clean, (clean + noise * 2).clamp(0, 1)).mean() < 0.01


def test_crops_are_judged_each_alone() -> None:
    clean, letters = face(), strokes()
    photos = torch.cat([clean, torch.lerp(clean, torch.tensor(0.95), letters)])
    results = (clean + restorers_own(1)).repeat(2, 1, 1, 1)
    together = contradictions(results, photos)
    alone = torch.cat([contradictions(results[i, None], photos[i, None]) for i in range(2)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    assert together[0].max() < 0.01


def test_shapes_must_agree() -> None:
    with pytest.raises(InputError, match="must have the same shape"):
        contradictions(face(), face()[..., :64, :64])
