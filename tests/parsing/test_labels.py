from itertools import combinations

import pytest

from psfr_core.errors import OptionError
from psfr_core.parsing.labels import (
    MIRRORED_REGION,
    REGION_COLORS,
    REGION_NAMES,
    FaceRegion,
    RegionGroup,
    parse_regions,
    regions_of,
)


def test_regions_are_numbered_like_in_celebamask_hq():
    names = (
        "background skin nose glasses left_eye right_eye left_brow right_brow left_ear right_ear "
        "mouth upper_lip lower_lip hair hat earring necklace neck cloth"
    )
    assert [region.name.lower() for region in FaceRegion] == names.split()
    assert [int(region) for region in FaceRegion] == list(range(19))


def test_mirroring_exchanges_left_and_right_regions_only():
    assert set(MIRRORED_REGION) == set(FaceRegion)
    assert all(MIRRORED_REGION[MIRRORED_REGION[region]] == region for region in FaceRegion)
    changed = {(int(a), int(b)) for a, b in MIRRORED_REGION.items() if a != b}
    assert changed == {(4, 5), (5, 4), (6, 7), (7, 6), (8, 9), (9, 8)}


def test_each_region_has_a_distinct_color():
    assert set(REGION_COLORS) == set(FaceRegion)
    for first, second in combinations(REGION_COLORS.values(), 2):
        assert sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) >= 60**2


@pytest.mark.parametrize(
    ("group", "numbers"),
    [
        ("face", {1, 2, 3, 4, 5, 6, 7, 10, 11, 12}),
        ("eyes", {4, 5}),
        ("brows", {6, 7}),
        ("nose", {2}),
        ("lips", {11, 12}),
        ("mouth", {10, 11, 12}),
        ("ears", {8, 9}),
        ("hair", {13}),
        ("accessories", {3, 14, 15, 16}),
        ("head", set(range(1, 16))),
        ("body", {16, 17, 18}),
        ("person", set(range(1, 19))),
    ],
)
def test_groups_contain_their_regions(group, numbers):
    assert RegionGroup(group).regions == numbers


def test_all_groups_are_tested_above():
    assert len(RegionGroup) == 12


def test_regions_of_expands_regions_and_groups():
    assert regions_of(FaceRegion.HAIR) == {FaceRegion.HAIR}
    assert regions_of(RegionGroup.LIPS) == {FaceRegion.UPPER_LIP, FaceRegion.LOWER_LIP}
    assert regions_of([RegionGroup.EYES, FaceRegion.NOSE]) == {4, 5, 2}
    assert regions_of([]) == frozenset()


def test_names_are_parsed():
    assert parse_regions("skin, Left-Eye, left eye") == {FaceRegion.SKIN, FaceRegion.LEFT_EYE}
    assert parse_regions("eyes,nose") == RegionGroup.EYES.regions | {FaceRegion.NOSE}
    with pytest.raises(OptionError, match="Unknown face region 'chin'. Use one of face, eyes"):
        parse_regions("skin,chin")


def test_all_names_are_parsed():
    assert len(REGION_NAMES) == len(set(REGION_NAMES)) == 28  # nose, mouth and hair are regions and groups
    for name in REGION_NAMES:
        assert parse_regions(name)
