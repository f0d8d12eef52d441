"""Define the options of pasting, and the face regions that are pasted by default."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import OptionError
from ..options import check_options, option
from ..parsing.labels import FaceRegion, parse_regions
from .region_strengths import RegionStrengths

# Hats, necks and clothes are not pasted, because they extend beyond the crop, and a partial restoration would be visible.
PASTED_REGION_NAMES = "face,ears,hair,earring"
PASTED_REGIONS = parse_regions(PASTED_REGION_NAMES)

WHOLE_CROP = "all"  # used instead of region names


@dataclass(frozen=True)
class PasteOptions:
    """Options for the extent and the appearance of pasted crops.

    ``feather`` is the width of the soft edge as a fraction of the crop's side, 0 to 0.5. ``regions`` are the face regions to
    paste; None pastes the whole crop with a soft border. ``grain`` is the fraction of the photo's grain that is added, 0 to 1 (see
    ``add_grain``). ``strengths`` are the blend strengths of the parts of a face within the pasted regions.
    """

    feather: float = option(0.06, "width of the soft edge as a fraction of the crop's side, 0 to 0.5", low=0, high=0.5)
    regions: frozenset[FaceRegion] | None = PASTED_REGIONS
    grain: float = option(
        0.0,
        "film grain or sensor noise on restored faces, 0 to 1: 0 adds none, 1 adds as much as the photo has",
        low=0,
        high=1,
    )
    strengths: RegionStrengths = RegionStrengths()

    def __post_init__(self) -> None:
        check_options(self)
        if self.regions is not None and not self.regions:
            raise OptionError("regions is empty, so nothing would be pasted. Give regions, or None for the whole crop.")

    def strength_of(self, region: FaceRegion) -> float:
        """Return the strength of ``region``, which is 0 if the region is not pasted."""
        return self.strengths.of(region) if self.regions is None or region in self.regions else 0.0


def parse_pasted_regions(text: str) -> frozenset[FaceRegion] | None:
    """Parse a text such as ``skin, eyes`` for ``PasteOptions.regions``. Return None for ``all``.

    Raises OptionError for unknown names.
    """
    if text.strip().lower() == WHOLE_CROP:
        return None
    try:
        return parse_regions(text)
    except OptionError as error:
        raise OptionError(f"{error} To paste the whole crop, write only '{WHOLE_CROP}'.") from error
