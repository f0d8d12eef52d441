from __future__ import annotations

import pytest
import torch

from psfr_core.errors import OptionError
from psfr_core.parsing.labels import FaceRegion
from psfr_core.parsing.parse_map import ParseMap
from psfr_core.restoration.masks import crop_masks
from psfr_core.restoration.paste_options import PASTED_REGIONS, PasteOptions

WHOLE_CROP = PasteOptions(regions=None)


def disc_map(size: int, radius: float, region: FaceRegion = FaceRegion.SKIN) -> ParseMap:
    place = torch.arange(size) - (size - 1) / 2
    inside = place[:, None] ** 2 + place**2 <= radius**2
    return ParseMap((inside * int(region)).to(torch.uint8)[None])


def outer_pixels(mask: torch.Tensor) -> torch.Tensor:
    return torch.cat([mask[..., 0, :], mask[..., -1, :], mask[..., :, 0], mask[..., :, -1]], dim=-1)


@pytest.mark.parametrize("feather", [0.0, 0.01, 0.06, 0.3, 0.5])
@pytest.mark.parametrize("size", [1, 2, 16, 65, 256])
def test_every_mask_is_zero_at_the_crops_border_and_within_range(size: int, feather: float) -> None:
    full = ParseMap(torch.ones(1, size, size, dtype=torch.uint8))
    for regions, parse_map in [(None, None), (PASTED_REGIONS, full), (None, full)]:
        mask = crop_masks(size, PasteOptions(feather, regions), parse_map)
        assert mask.shape == (1, 1, size, size)
        assert mask.dtype == torch.float32
        assert torch.count_nonzero(outer_pixels(mask)) == 0
        assert float(mask.min()) >= 0
        assert float(mask.max()) <= 1


@pytest.mark.parametrize("size", [64, 256, 512])
def test_the_rectangle_rises_over_the_feather_at_any_size(size: int) -> None:
    middle = crop_masks(size, PasteOptions(feather=0.125, regions=None), None)[0, 0, size // 2]
    assert float(middle[size // 8]) == 1
    assert float(middle[size // 16]) == pytest.approx(0.5)
    assert (middle.diff()[: size // 2] >= 0).all()
    assert float(middle.diff().abs().max()) < 1.6 / (size / 8)
    assert torch.equal(middle, middle.flip(0))


def test_without_feather_the_edge_is_hard() -> None:
    mask = crop_masks(8, PasteOptions(feather=0, regions=None), None)[0, 0]
    assert torch.equal(mask[1:-1, 1:-1], torch.ones(6, 6))
    hard = crop_masks(32, PasteOptions(feather=0), disc_map(32, 9.2))[0, 0]
    assert set(hard.unique().tolist()) == {0.0, 1.0}


def test_the_parse_map_bounds_the_mask_softly() -> None:
    mask = crop_masks(256, PasteOptions(feather=0.06), disc_map(256, 80))[0, 0]
    profile = mask[128, 128:]
    assert float(profile[:50].min()) == 1
    assert float(profile[80]) == pytest.approx(0.5, abs=0.06)
    assert float(profile[100:].max()) == 0
    assert (profile.diff() <= 1e-6).all()


def test_faint_values_are_exactly_zero() -> None:
    mask = crop_masks(256, PasteOptions(feather=0.2), disc_map(256, 50))
    assert float(mask[mask > 0].min()) >= 1e-3


def test_only_the_asked_regions_are_pasted() -> None:
    hair = disc_map(64, 20, FaceRegion.HAIR)
    assert float(crop_masks(64, PasteOptions(), hair)[0, 0, 32, 32]) > 0.99
    assert float(crop_masks(64, PasteOptions(regions=frozenset({FaceRegion.SKIN})), hair).max()) == 0


def test_face_head_and_jewellery_are_pasted_by_default_but_not_the_surroundings() -> None:
    assert sorted(PASTED_REGIONS) == [*range(1, 14), 15]


def test_one_mask_for_each_parse_map_in_their_order() -> None:
    maps = ParseMap(torch.cat([disc_map(64, radius).labels for radius in (5, 15, 25)]))
    masks = crop_masks(64, PasteOptions(), maps)
    sizes = masks.sum((1, 2, 3))
    assert masks.shape == (3, 1, 64, 64)
    assert sizes[0] < sizes[1] < sizes[2]
    assert crop_masks(64, WHOLE_CROP, maps).shape == (3, 1, 64, 64)


def test_parse_maps_of_another_size_are_resized() -> None:
    small, large = crop_masks(256, PasteOptions(), disc_map(64, 20)), crop_masks(256, PasteOptions(), disc_map(256, 80))
    assert float((small - large).abs().mean()) < 0.01


@pytest.mark.parametrize("feather", [-0.01, 0.51, float("nan")])
def test_feathers_out_of_range_are_refused(feather: float) -> None:
    with pytest.raises(OptionError, match="feather must be a number from 0 to 0.5, got"):
        PasteOptions(feather=feather)


def test_pasting_nothing_is_refused() -> None:
    with pytest.raises(OptionError, match="regions is empty"):
        PasteOptions(regions=frozenset())
    with pytest.raises(OptionError, match="crop_size must be an integer from 1 to 8192, got 0"):
        crop_masks(0, PasteOptions(), None)
