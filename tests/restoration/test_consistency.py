from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from psfr_core.errors import InputError
from psfr_core.images.box import Size
from psfr_core.images.filters import gaussian_blur
from psfr_core.images.resize import resize
from psfr_core.restoration.consistency import contradictions

SIDE = 128


def face(seed: int = 0) -> Tensor:
    """Return an image (1, 3, 128, 128) with smooth structure, as in faces."""
    noise = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    smooth = gaussian_blur(noise, 2.5)
    return (0.5 + 0.12 * smooth / smooth.std()).clamp(0, 1)


def strokes() -> Tensor:
    """Return a mask (1, 1, 128, 128) of six bars with a width of 3 pixels, which stand for letters."""
    mask = torch.zeros(1, 1, SIDE, SIDE)
    for left in range(40, 88, 8):
        mask[..., 50:66, left : left + 3] = 1
    return mask


def sharp_face_with_spoon() -> tuple[Tensor, Tensor]:
    """Return a photo (1, 3, 128, 128) with detail as fine as a pixel around a plain ellipse, and the mask of the ellipse."""
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    spoon = (((rows - 58) / 8) ** 2 + ((columns - 64) / 20) ** 2 < 1).float()[None, None]
    detail = 0.04 * torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    return torch.lerp(face() + detail, torch.tensor(0.5), spoon).clamp(0, 1), spoon


def teeth() -> Tensor:
    """Return teeth (1, 1, 128, 128) to add to the spoon. They are finer than the detail that most photos resolve."""
    columns = torch.zeros(1, 1, SIDE, SIDE)
    for left in range(50, 78, 4):
        columns[..., 53:63, left : left + 2], columns[..., 53:63, left + 2 : left + 4] = 0.1, -0.1
    return columns


def spurious_detail(seed: int) -> Tensor:
    """Return small random changes (1, 3, 128, 128), as a restorer makes everywhere."""
    return 0.01 * torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def test_erased_lettering_is_kept() -> None:
    clean, letters = face(), strokes()
    kept = contradictions(clean + spurious_detail(1), torch.lerp(clean, torch.tensor(0.95), letters))
    assert kept.shape == (1, 1, SIDE, SIDE)
    assert kept[letters > 0].mean() > 0.9
    away = gaussian_blur(letters, 6) < 1e-3
    assert kept[away].max() < 0.01


def test_bars_painted_over_a_plain_area_are_undone() -> None:
    clean, letters = face(), strokes()
    kept = contradictions(torch.lerp(clean, torch.tensor(0.05), letters), clean + spurious_detail(1))
    assert kept[letters > 0].mean() > 0.5


def test_teeth_in_a_plain_area_are_undone_if_the_photo_is_sharp() -> None:
    photo, spoon = sharp_face_with_spoon()
    kept = contradictions(photo + teeth() + spurious_detail(1), photo)
    assert kept[spoon > 0].mean() > 0.9
    assert kept[gaussian_blur(spoon, 6) < 1e-3].max() < 0.01


def test_sharpness_is_measured_at_the_size_of_the_restoration() -> None:
    photo, spoon = sharp_face_with_spoon()
    large = Size(2 * SIDE, 2 * SIDE)
    noise = 0.005 * torch.randn(1, 3, *large, generator=torch.Generator().manual_seed(2))
    enlarged_photo = resize(photo, large) + noise
    enlarged_result = resize(resize(enlarged_photo, Size(SIDE, SIDE)) + teeth() + spurious_detail(1), large)
    inside = resize(spoon, large) > 0.5
    kept = contradictions(enlarged_result, enlarged_photo, [SIDE])[inside].mean()
    assert kept > 0.5
    assert contradictions(enlarged_result, enlarged_photo)[inside].mean() < 0.1
    both_results, both_photos = (torch.cat([faces, faces]) for faces in (enlarged_result, enlarged_photo))
    assert contradictions(both_results, both_photos, [2 * SIDE, SIDE])[1][inside[0]].mean() == kept


@pytest.mark.parametrize("damage", ["blur", "noise", "enlargement"])
def test_teeth_are_kept_if_the_photo_is_not_sharp(damage: str) -> None:
    photo, spoon = sharp_face_with_spoon()
    restored = photo + teeth() + spurious_detail(1)
    small = F.interpolate(photo, scale_factor=0.5, mode="bicubic", antialias=True)
    damaged = {
        "blur": gaussian_blur(photo, 1.0),
        "noise": photo + 6 * spurious_detail(2),
        "enlargement": F.interpolate(small, scale_factor=2, mode="bicubic"),
    }[damage]
    assert contradictions(restored, damaged)[spoon > 0].mean() < 0.01


def test_sharpening_is_no_contradiction() -> None:
    sharp = face()
    photo = gaussian_blur(sharp, 1.0) + spurious_detail(1)
    assert contradictions(sharp, photo).max() < 0.01
    assert contradictions(photo, photo).max() == 0


def test_noisy_photos_are_restored_in_full() -> None:
    clean = face()
    noise = 0.25 * torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    noise = gaussian_blur(noise, 1.5)  # coarse noise, as in a photo enlarged from a few pixels
    assert contradictions(clean, (clean + noise * 2).clamp(0, 1)).mean() < 0.01


def test_each_crop_is_compared_alone() -> None:
    clean, letters = face(), strokes()
    photos = torch.cat([clean, torch.lerp(clean, torch.tensor(0.95), letters)])
    results = (clean + spurious_detail(1)).repeat(2, 1, 1, 1)
    together = contradictions(results, photos)
    alone = torch.cat([contradictions(results[i, None], photos[i, None]) for i in range(2)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    assert together[0].max() < 0.01


def test_shapes_must_agree() -> None:
    with pytest.raises(InputError, match="must have the same shape"):
        contradictions(face(), face()[..., :64, :64])
