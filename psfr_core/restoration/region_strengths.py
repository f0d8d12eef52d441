"""Define the blend strengths of the parts of a face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from ..errors import OptionError
from ..options import check_options, option
from ..parsing.labels import FaceRegion, RegionGroup, Regions, regions_of

_PARTS: Mapping[str, Regions] = {
    "skin": FaceRegion.SKIN,
    "eyes": RegionGroup.EYES,
    "brows": RegionGroup.BROWS,
    "nose": FaceRegion.NOSE,
    "mouth": RegionGroup.MOUTH,
    "ears": (RegionGroup.EARS, FaceRegion.EARRING),
    "hair": FaceRegion.HAIR,
}
_PART_OF = {region: part for part, regions in _PARTS.items() for region in regions_of(regions)}
_OTHER = "other"


@dataclass(frozen=True)
class RegionStrengths:
    """Blend strength of each part of a face, 0 to 1. A strength of 0 keeps the middle of the part as it is in the photo; its
    edge is blended over ``PasteOptions.feather``.

    Each strength is multiplied by the strength of the whole restoration, and has no effect outside the pasted regions.
    """

    skin: float = option(1.0, "blend strength for the skin, 0 to 1. 0 keeps the skin of the photo", low=0, high=1)
    eyes: float = option(1.0, "blend strength for both eyes, 0 to 1. 0 keeps the eyes of the photo", low=0, high=1)
    brows: float = option(1.0, "blend strength for both brows, 0 to 1. 0 keeps the brows of the photo", low=0, high=1)
    nose: float = option(1.0, "blend strength for the nose, 0 to 1. 0 keeps the nose of the photo", low=0, high=1)
    mouth: float = option(
        1.0,
        "blend strength for the lips and the inside of the mouth, 0 to 1. 0 keeps the mouth of the photo",
        low=0,
        high=1,
    )
    ears: float = option(1.0, "blend strength for ears and earrings, 0 to 1. 0 keeps those of the photo", low=0, high=1)
    hair: float = option(1.0, "blend strength for the hair, 0 to 1. 0 keeps the hair of the photo", low=0, high=1)
    other: float = option(
        1.0,
        "blend strength for other pasted regions, such as glasses, hat and neck, 0 to 1. 0 keeps those of the photo",
        low=0,
        high=1,
    )

    def __post_init__(self) -> None:
        check_options(self)

    def of(self, region: FaceRegion) -> float:
        """Return the strength of ``region``."""
        return getattr(self, _PART_OF.get(region, _OTHER))


PART_NAMES = tuple(field.name for field in fields(RegionStrengths))


def parse_region_strengths(text: str) -> RegionStrengths:
    """Parse a text such as ``eyes=0.5, hair=0``. Omitted parts have the strength 1.

    Raises OptionError for unknown parts and for strengths that are not numbers from 0 to 1.
    """
    strengths = RegionStrengths()
    for entry in text.split(","):
        name, _, number = (word.strip().lower() for word in entry.partition("="))
        if name not in PART_NAMES:
            raise OptionError(
                f"Unknown part of a face '{name}'. Use {', '.join(PART_NAMES)}, each with a strength, such as "
                "'eyes=0.5,hair=0'."
            )
        strengths = replace(strengths, **{name: _number(name, number)})
    return strengths


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise OptionError(f"The strength of {name} must be a number from 0 to 1, got '{text}'.") from None
