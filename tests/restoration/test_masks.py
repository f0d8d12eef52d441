from __future__ import annotations

import pytest
import torch

from psfr_core.errors import InputError, OptionError
from psfr_core.images.filters import gaussian_blur
from psfr_core.parsing.labels import FaceRegion, RegionGroup
from psfr_core.parsing.parse_map import ParseMap
from psfr_core.restoration.masks import crop_masks
from psfr_core.restoration.paste_options import PASTED_REGIONS, PasteOptions
from psfr_core.restoration.region_strengths import PART_NAMES, RegionStrengths

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


def test_only_the_chosen_regions_are_pasted() -> None:
    hair = disc_map(64, 20, FaceRegion.HAIR)
    assert float(crop_masks(64, PasteOptions(), hair)[0, 0, 32, 32]) > 0.99
    assert float(crop_masks(64, PasteOptions(regions=frozenset({FaceRegion.SKIN})), hair).max()) == 0


def test_face_ears_hair_and_earrings_are_pasted_by_default() -> None:
    assert sorted(PASTED_REGIONS) == [*range(1, 14), 15]


def test_each_parse_map_gets_a_mask_in_order() -> None:
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


LEFT, RIGHT, LIPS = (96, 160), (96, 96), (176, 128)  # row and column of the centers of both eyes and the mouth
NOTHING = dict.fromkeys(PART_NAMES, 0.0)


def face_map() -> ParseMap:
    """Return a 256 px face with eyes of 10 x 24 px, lips, and surrounding hair."""
    rows, columns = torch.arange(256.0)[:, None], torch.arange(256.0)

    def ellipse(middle: tuple[int, int], height: float, width: float) -> torch.Tensor:
        return ((rows - middle[0]) * 2 / height) ** 2 + ((columns - middle[1]) * 2 / width) ** 2 <= 1

    labels = torch.zeros(256, 256, dtype=torch.uint8)
    for region, shape in [
        (FaceRegion.HAIR, ellipse((110, 128), 210, 200)),
        (FaceRegion.SKIN, ellipse((128, 128), 190, 150)),
        (FaceRegion.LEFT_EYE, ellipse(LEFT, 10, 24)),
        (FaceRegion.RIGHT_EYE, ellipse(RIGHT, 10, 24)),
        (FaceRegion.UPPER_LIP, ellipse(LIPS, 24, 60)),
        (FaceRegion.LOWER_LIP, ellipse(LIPS, 24, 60) & (rows > LIPS[0])),
        (FaceRegion.MOUTH, ellipse(LIPS, 6, 40)),
    ]:
        labels[shape] = int(region)
    return ParseMap(labels[None])


def mask_of(strengths: RegionStrengths, parse_map: ParseMap | None = None) -> torch.Tensor:
    return crop_masks(256, PasteOptions(strengths=strengths), parse_map or face_map())[0, 0]


def test_eyes_alone_reach_their_strength_at_the_middle_of_each() -> None:
    feather = PasteOptions.feather * 256 / 3
    assert float(gaussian_blur(face_map().mask(RegionGroup.EYES), feather).max()) < 0.6  # a blur alone is too weak
    for strength in (1.0, 0.5):
        mask = mask_of(RegionStrengths(**{**NOTHING, "eyes": strength}))
        assert float(mask[LEFT]) == pytest.approx(strength, abs=1e-3)
        assert float(mask[RIGHT]) == pytest.approx(strength, abs=1e-3)
        assert float(mask.max()) == pytest.approx(strength, abs=1e-3)
        assert (mask[96, 160:].diff() <= 1e-6).all()  # the mask falls toward the side
        assert float(mask[160:].max()) == float(mask[:70].max()) == 0
    assert float(mask_of(RegionStrengths(**{**NOTHING, "eyes": 1.0})).max()) == 1
    named = crop_masks(256, PasteOptions(regions=RegionGroup.EYES.regions), face_map())[0, 0]
    assert torch.equal(named, mask_of(RegionStrengths(**{**NOTHING, "eyes": 1.0})))


def test_eyes_without_strength_stay_unchanged_in_a_face_of_full_strength() -> None:
    mask = mask_of(RegionStrengths(eyes=0))
    assert float(mask[LEFT]) == float(mask[RIGHT]) == 0
    assert float(mask[130, 128]) == float(mask[LIPS]) == 1
    full = mask_of(RegionStrengths())
    assert (mask <= full).all()
    assert torch.equal(mask[130:], full[130:])


def test_each_part_has_its_own_strength() -> None:
    mask = mask_of(RegionStrengths(skin=0.3, eyes=0.9, mouth=0.6, hair=0.1))
    found = [float(mask[place]) for place in [(130, 128), LEFT, RIGHT, LIPS, (110, 40)]]
    assert found == pytest.approx([0.3, 0.9, 0.9, 0.6, 0.1], abs=0.01)


def test_full_strengths_equal_the_blurred_regions() -> None:
    rectangle = crop_masks(256, WHOLE_CROP, None)
    blurred = gaussian_blur(face_map().mask(PASTED_REGIONS), PasteOptions.feather * 256 / 3) * rectangle
    full = mask_of(RegionStrengths())
    assert torch.equal(full[full < 0.999], blurred[0, 0][full < 0.999].where(full[full < 0.999] > 0, 0))
    assert float(full[130, 128]) == 1
    assert torch.equal(crop_masks(256, WHOLE_CROP, face_map()), rectangle)


def test_lips_exclude_the_inside_of_the_mouth() -> None:
    lips = crop_masks(256, PasteOptions(feather=0.03, regions=RegionGroup.LIPS.regions), face_map())[0, 0]
    assert float(lips.max()) == 1
    assert float(lips[LIPS]) < 0.8


def test_strengths_also_apply_to_the_whole_crop() -> None:
    options = PasteOptions(regions=None, strengths=RegionStrengths(other=0.2))
    mask = crop_masks(256, options, face_map())[0, 0]
    assert float(mask[240, 30]) == pytest.approx(0.2, abs=0.01)
    assert float(mask[130, 128]) == 1


def test_stray_pixels_of_a_part_have_little_strength() -> None:
    labels = face_map().labels.masked_fill(face_map().labels == int(FaceRegion.LEFT_EYE), int(FaceRegion.SKIN))
    labels[0, 140, 100] = int(FaceRegion.LEFT_EYE)
    mask = mask_of(RegionStrengths(**{**NOTHING, "eyes": 1.0}), ParseMap(labels))
    assert 0 < float(mask[140, 100]) < 0.1
    assert float(mask[RIGHT]) == 1


def test_strengths_need_a_parse_map() -> None:
    with pytest.raises(InputError, match="Strengths of regions need a parse map"):
        crop_masks(256, PasteOptions(strengths=RegionStrengths(hair=0)), None)
