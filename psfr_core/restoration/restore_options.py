"""Define the options of the complete restoration."""

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
from .paste_options import PasteOptions


class NoFace(str, Enum):
    """Behavior for an image without a face to restore."""

    KEEP = "keep"  # keep the image unchanged
    ERROR = "error"  # raise NoFaceError


class Eyes(str, Enum):
    """State of the eyes in the parse map used for restoration."""

    AS_PARSED = "as-parsed"
    CLOSED = "closed"  # relabels eyes as skin, so that the generator draws closed lids

    def applied_to(self, parse_map: ParseMap) -> ParseMap:
        """Return ``parse_map`` with the eyes in this state."""
        if self is Eyes.AS_PARSED:
            return parse_map
        return parse_map.replaced(parse_map.mask(RegionGroup.EYES), FaceRegion.SKIN)


@dataclass(frozen=True)
class RestoreOptions:
    """Options for restoring the faces in an image."""

    strength: float = option(
        1.0, "blend strength, 0 to 1; 0 keeps the image unchanged, 1 replaces the faces", low=0, high=1
    )
    batch_size: int | None = option(
        None,
        "number of faces per batch; none: 1 on a CPU, up to 8 on a GPU, depending on its memory",
        low=1,
        high=MAX_BATCH_SIZE,
    )
    color_match: ColorMatch = option(
        ColorMatch.LOW_FREQUENCY,
        "source of the overall colors of a face; low-frequency: the photo; none: the generator; detail-only: the photo, also for "
        "its shading, so that the generator adds only fine detail",
    )
    no_face: NoFace = option(
        NoFace.KEEP, "behavior for images without a face to restore: keep the image unchanged, or raise an error"
    )
    eyes: Eyes = option(
        Eyes.AS_PARSED, "state of the eyes; closed restores all eyes as closed, even if the parser labels them as open"
    )
    guard: bool = option(
        True,
        "keep the photo where the result contradicts the photo, for example where lettering or a spoon became skin",
    )
    selection: SelectionOptions = field(default_factory=SelectionOptions)
    paste: PasteOptions = field(default_factory=PasteOptions)
    detection: DetectionOptions | None = None  # None stands for the options with which the detector was loaded
    automatic_strength: bool = option(
        False, "reduce the strength for faces of good quality; sharp faces with little noise stay unchanged"
    )

    def __post_init__(self) -> None:
        check_options(self)
