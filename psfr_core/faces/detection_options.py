"""Define the options that all face detectors accept."""

from __future__ import annotations

from dataclasses import dataclass

from ..batch_size import MAX_BATCH_SIZE
from ..options import check_options, option


@dataclass(frozen=True)
class DetectionOptions:
    """Options of face detection: thresholds, image sizes, additional searches and verification."""

    min_score: float | None = option(
        None, "minimum score of a face, 0 to 1; none: the detector's default", low=0, high=1
    )
    min_eye_distance: float = option(5.0, "minimum eye distance in pixels; drops profiles and tiny faces", low=0)
    max_overlap: float = option(0.4, "IoU threshold for non-maximum suppression", low=0.01, high=1)
    max_side: int = option(1920, "maximum longer side in pixels; larger images are reduced", low=64, high=65536)
    min_side: int = option(
        512,
        "minimum shorter side in pixels; smaller images are enlarged as far as max-side allows",
        low=1,
        high=65536,
    )
    tiles: bool = option(False, "also search images larger than max-side in tiles at full size, for tiny faces")
    turned: bool = option(
        False,
        "also search at 90, 180 and 270 degrees; four times slower",
    )
    second_opinion: bool = option(
        True,
        "let a parsing network verify uncertain faces of the bundled detector; a given min-score remains the minimum",
    )
    batch_size: int = option(4, "number of images per batch", low=1, high=MAX_BATCH_SIZE)

    def __post_init__(self) -> None:
        check_options(self)
