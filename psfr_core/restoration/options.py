"""Options of the whole restoration, made of those of its steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from ..batch_size import check_batch_size
from ..described import described
from ..detection.selection import SelectionOptions
from ..errors import OptionError
from ..paste_back.color_match import ColorMatch
from ..paste_back.paste import PasteOptions


class NoFace(str, Enum):
    """What to do with an image in which no face is to be restored."""

    KEEP = "keep"  # it stays as it is
    ERROR = "error"


@dataclass(frozen=True)
class RestoreOptions:
    """How faces are restored and put back."""

    strength: float = described(1.0, "0 leaves the image as it is, 1 replaces the faces")
    batch_size: int | None = described(
        None,
        "faces that go through the networks together; none: 1 on a CPU, where more are no faster, on a GPU what fits",
    )
    color_match: ColorMatch = described(ColorMatch.LOW_FREQUENCY, "where the broad colours of a face come from")
    no_face: NoFace = described(NoFace.KEEP, "what to do with an image without a face to restore")
    selection: SelectionOptions = field(default_factory=SelectionOptions)
    paste: PasteOptions = field(default_factory=PasteOptions)

    def __post_init__(self) -> None:
        if not 0.0 <= self.strength <= 1.0:
            raise OptionError(f"strength must be between 0 and 1, got {self.strength}.")
        check_batch_size(self.batch_size)
