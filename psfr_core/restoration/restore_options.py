"""Options of the whole restoration, made of those of its steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from ..batch_size import MAX_BATCH_SIZE
from ..faces.detection_options import DetectionOptions
from ..faces.selection import SelectionOptions
from ..options import check_options, option
from ..parsing.labels import FaceRegion, RegionGroup
from ..parsing.parse_map import ParseMap
from .color_match import ColorMatch
from .paste import PasteOptions


class NoFace(str, Enum):
    """What to do with an image in which no face is to be restored."""

    KEEP = "keep"  # it stays as it is
    ERROR = "error"


class Eyes(str, Enum):
    """What the parse map says of eyes when the faces are restored."""

    AS_PARSED = "as-parsed"
    CLOSED = "closed"  # lids are skin: no eye is drawn where the parser saw one

    def applied_to(self, parse_map: ParseMap) -> ParseMap:
        """Return the map with these eyes."""
        if self is Eyes.AS_PARSED:
            return parse_map
        return parse_map.replaced(parse_map.mask(RegionGroup.EYES), FaceRegion.SKIN)


@dataclass(frozen=True)
class RestoreOptions:
    """How faces are restored and put back."""

    strength: float = option(1.0, "0 leaves the image as it is, 1 replaces the faces", low=0, high=1)
    batch_size: int | None = option(
        None,
        "faces that go through the networks together; none: 1 on a CPU, where more are no faster, on a GPU what fits",
        low=1,
        high=MAX_BATCH_SIZE,
    )
    color_match: ColorMatch = option(ColorMatch.LOW_FREQUENCY, "where the broad colors of a face come from")
    no_face: NoFace = option(NoFace.KEEP, "what to do with an image without a face to restore")
    eyes: Eyes = option(
        Eyes.AS_PARSED, "closed restores all eyes as lids, where the parser mistakes closed eyes for open ones"
    )
    guard: bool = option(
        True,
        "keep the photo where the result contradicts it, such as lettering or a spoon over a face that became skin or teeth",
    )
    selection: SelectionOptions = field(default_factory=SelectionOptions)
    paste: PasteOptions = field(default_factory=PasteOptions)
    detection: DetectionOptions | None = None  # None: the detector's own

    def __post_init__(self) -> None:
        check_options(self)
