"""Options of every face detector."""

from __future__ import annotations

from dataclasses import dataclass

from ..batch_size import MAX_BATCH_SIZE
from ..options import check_options, option


@dataclass(frozen=True)
class DetectionOptions:
    """What counts as a face, and how large the image is when it is searched."""

    min_score: float | None = option(
        None, "least score of a face, 0 to 1; none: what suits the detector", low=0, high=1
    )
    min_eye_distance: float = option(5.0, "in pixels; heads seen from the side or far away have less", low=0)
    max_overlap: float = option(
        0.4, "of two boxes with a larger intersection over union the surer one stays", low=0.01, high=1
    )
    max_side: int = option(1920, "larger images are shrunk to this longer side", low=64, high=65536)
    min_side: int = option(
        512, "smaller images are enlarged to this shorter side, as far as max-side allows", low=1, high=65536
    )
    tiles: bool = option(False, "search large images also in tiles at full size, for tiny faces")
    turned: bool = option(
        False,
        "search also with the image on its sides and its head: finds faces lying or upside down, in four times the time",
    )
    second_opinion: bool = option(
        True,
        "let a parsing network confirm the faces that the bundled detector is unsure of; a set min_score stays the least",
    )
    batch_size: int = option(4, "images that go through the network together", low=1, high=MAX_BATCH_SIZE)

    def __post_init__(self) -> None:
        check_options(self)
