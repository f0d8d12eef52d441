from __future__ import annotations

from dataclasses import fields

import pytest

from psfr_core.errors import OptionError
from psfr_core.parsing.labels import FaceRegion, RegionGroup
from psfr_core.restoration.paste_options import PasteOptions
from psfr_core.restoration.region_strengths import RegionStrengths, parse_region_strengths


def test_every_region_belongs_to_one_part() -> None:
    parts = [field.name for field in fields(RegionStrengths)]
    regions = {
        part: {region for region in FaceRegion if RegionStrengths(**{part: 0.5}).of(region) == 0.5} for part in parts
    }
    assert sorted(region for part in regions.values() for region in part) == list(FaceRegion)
    assert regions["eyes"] == RegionGroup.EYES.regions
    assert regions["mouth"] == RegionGroup.MOUTH.regions
    assert regions["ears"] == {FaceRegion.LEFT_EAR, FaceRegion.RIGHT_EAR, FaceRegion.EARRING}
    assert regions["other"] == RegionGroup.BODY.regions | {FaceRegion.BACKGROUND, FaceRegion.HAT, FaceRegion.GLASSES}


def test_regions_that_are_not_pasted_have_no_strength() -> None:
    options = PasteOptions(regions=frozenset({FaceRegion.HAIR, FaceRegion.SKIN}), strengths=RegionStrengths(hair=0.25))
    assert [options.strength_of(region) for region in (FaceRegion.HAIR, FaceRegion.SKIN, FaceRegion.NOSE)] == [
        0.25,
        1,
        0,
    ]
    assert PasteOptions(regions=None).strength_of(FaceRegion.BACKGROUND) == 1


def test_strengths_from_a_text() -> None:
    assert parse_region_strengths(" Eyes=0.5, hair = 0") == RegionStrengths(eyes=0.5, hair=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("eye=1", "Unknown part of a face 'eye'. Use skin, eyes, .* such as 'eyes=0.5,hair=0'"),
        ("", "Unknown part of a face ''"),
        ("eyes", "The strength of eyes must be a number from 0 to 1, got ''"),
        ("eyes=full", "The strength of eyes must be a number from 0 to 1, got 'full'"),
        ("eyes=1.5", "eyes must be a number from 0 to 1, got 1.5"),
        ("eyes=nan", "eyes must be a number from 0 to 1, got nan"),
    ],
)
def test_texts_without_strengths_are_refused(text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse_region_strengths(text)
