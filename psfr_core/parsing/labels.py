"""Define the regions of a face, which are numbered as in CelebAMask-HQ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any, TypeAlias

from ..errors import OptionError


class FaceRegion(IntEnum):
    """Region labels of pixels. Left and right are the person's, so the left eye is on the right side of the image."""

    BACKGROUND = 0
    SKIN = 1
    NOSE = 2
    GLASSES = 3
    LEFT_EYE = 4
    RIGHT_EYE = 5
    LEFT_BROW = 6
    RIGHT_BROW = 7
    LEFT_EAR = 8
    RIGHT_EAR = 9
    MOUTH = 10  # inner mouth: teeth and tongue
    UPPER_LIP = 11
    LOWER_LIP = 12
    HAIR = 13
    HAT = 14
    EARRING = 15
    NECKLACE = 16
    NECK = 17
    CLOTH = 18


class RegionGroup(str, Enum):
    """Groups of regions. The values are the names that options accept."""

    FACE = "face"
    EYES = "eyes"
    BROWS = "brows"
    NOSE = "nose"
    LIPS = "lips"
    MOUTH = "mouth"
    EARS = "ears"
    HAIR = "hair"
    ACCESSORIES = "accessories"
    HEAD = "head"
    BODY = "body"
    PERSON = "person"

    @property
    def regions(self) -> frozenset[FaceRegion]:
        """The regions of this group."""
        return _GROUPS[self]


# All names of groups and regions that options accept.
REGION_NAMES = tuple(
    dict.fromkeys([*(group.value for group in RegionGroup), *(region.name.lower() for region in FaceRegion)])
)

Regions: TypeAlias = "FaceRegion | RegionGroup | Iterable[FaceRegion | RegionGroup]"


def regions_of(regions: Regions) -> frozenset[FaceRegion]:
    """Return the regions of a region, a group, or a collection of regions and groups. Raise OptionError for other types."""
    if isinstance(regions, RegionGroup):
        return regions.regions
    if isinstance(regions, FaceRegion):
        return frozenset((regions,))
    try:
        entries: tuple[Any, ...] = tuple(regions)
    except TypeError:
        entries = (regions,)
    if not all(isinstance(entry, FaceRegion | RegionGroup) for entry in entries):
        found = type(regions).__name__
        raise OptionError(
            f"Regions must be a FaceRegion, a RegionGroup, or several of both, got {found}. Use parse_regions for names."
        )
    return frozenset(region for entry in entries for region in regions_of(entry))


def parse_regions(text: str) -> frozenset[FaceRegion]:
    """Parse names of regions and groups, such as ``skin, eyes``. Raise OptionError for unknown names."""
    return regions_of([_named(re.sub("[- ]+", "_", word.strip().lower())) for word in text.split(",")])


def _named(word: str) -> FaceRegion | RegionGroup:
    if word in {group.value for group in RegionGroup}:
        return RegionGroup(word)
    if word.upper() in FaceRegion.__members__:
        return FaceRegion[word.upper()]
    raise OptionError(f"Unknown face region '{word}'. Use one of {', '.join(REGION_NAMES)}.")


def _groups() -> dict[RegionGroup, frozenset[FaceRegion]]:
    eyes = frozenset((FaceRegion.LEFT_EYE, FaceRegion.RIGHT_EYE))
    brows = frozenset((FaceRegion.LEFT_BROW, FaceRegion.RIGHT_BROW))
    nose = frozenset((FaceRegion.NOSE,))
    lips = frozenset((FaceRegion.UPPER_LIP, FaceRegion.LOWER_LIP))
    mouth = lips | {FaceRegion.MOUTH}
    ears = frozenset((FaceRegion.LEFT_EAR, FaceRegion.RIGHT_EAR))
    hair = frozenset((FaceRegion.HAIR,))
    face = eyes | brows | nose | mouth | {FaceRegion.SKIN, FaceRegion.GLASSES}
    head = face | ears | hair | {FaceRegion.HAT, FaceRegion.EARRING}
    body = frozenset((FaceRegion.NECK, FaceRegion.NECKLACE, FaceRegion.CLOTH))
    return {
        RegionGroup.FACE: face,
        RegionGroup.EYES: eyes,
        RegionGroup.BROWS: brows,
        RegionGroup.NOSE: nose,
        RegionGroup.LIPS: lips,
        RegionGroup.MOUTH: mouth,
        RegionGroup.EARS: ears,
        RegionGroup.HAIR: hair,
        RegionGroup.ACCESSORIES: frozenset(
            (FaceRegion.GLASSES, FaceRegion.HAT, FaceRegion.EARRING, FaceRegion.NECKLACE)
        ),
        RegionGroup.HEAD: head,
        RegionGroup.BODY: body,
        RegionGroup.PERSON: head | body,
    }


_GROUPS: Mapping[RegionGroup, frozenset[FaceRegion]] = MappingProxyType(_groups())

# Metrics use these regions, because they are visible in most faces and labeled reliably.
MEASURED_REGIONS = (RegionGroup.FACE.regions - {FaceRegion.GLASSES}) | {FaceRegion.HAIR, FaceRegion.BACKGROUND}

_MIRRORED_PAIRS = (
    (FaceRegion.LEFT_EYE, FaceRegion.RIGHT_EYE),
    (FaceRegion.LEFT_BROW, FaceRegion.RIGHT_BROW),
    (FaceRegion.LEFT_EAR, FaceRegion.RIGHT_EAR),
)

# Maps each region to the region that it becomes in a mirrored image.
MIRRORED_REGION: Mapping[FaceRegion, FaceRegion] = MappingProxyType(
    {region: region for region in FaceRegion} | dict(_MIRRORED_PAIRS) | {right: left for left, right in _MIRRORED_PAIRS}
)

# RGB from 0 to 255. Adjacent regions differ in hue or brightness, and the left region of a pair is lighter.
REGION_COLORS: Mapping[FaceRegion, tuple[int, int, int]] = MappingProxyType(
    {
        FaceRegion.BACKGROUND: (0, 0, 0),
        FaceRegion.SKIN: (240, 190, 150),
        FaceRegion.NOSE: (200, 120, 60),
        FaceRegion.GLASSES: (255, 255, 255),
        FaceRegion.LEFT_EYE: (100, 200, 255),
        FaceRegion.RIGHT_EYE: (20, 90, 230),
        FaceRegion.LEFT_BROW: (150, 240, 90),
        FaceRegion.RIGHT_BROW: (30, 150, 50),
        FaceRegion.LEFT_EAR: (255, 230, 80),
        FaceRegion.RIGHT_EAR: (190, 160, 0),
        FaceRegion.MOUTH: (110, 0, 40),
        FaceRegion.UPPER_LIP: (255, 110, 140),
        FaceRegion.LOWER_LIP: (220, 20, 60),
        FaceRegion.HAIR: (110, 60, 150),
        FaceRegion.HAT: (0, 170, 170),
        FaceRegion.EARRING: (255, 0, 255),
        FaceRegion.NECKLACE: (180, 255, 220),
        FaceRegion.NECK: (160, 120, 110),
        FaceRegion.CLOTH: (90, 100, 110),
    }
)
