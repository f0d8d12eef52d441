"""Options of every face detector."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..described import described
from ..errors import OptionError


@dataclass(frozen=True)
class DetectionOptions:
    """What counts as a face, and how large the image is when it is searched."""

    min_score: float | None = described(None, "least score of a face, 0 to 1; none: what suits the detector")
    min_eye_distance: float = described(5.0, "in pixels; heads seen from the side or far away have less")
    max_overlap: float = described(0.4, "of two boxes with a larger intersection over union the surer one stays")
    max_side: int = described(1920, "larger images are shrunk to this longer side")
    min_side: int = described(512, "smaller images are enlarged to this shorter side, as far as max-side allows")
    tiles: bool = described(False, "search large images also in tiles at full size, for tiny faces")
    turned: bool = described(
        False,
        "search also with the image on its sides and its head: finds faces lying or upside down, in four times the time",
    )
    batch_size: int = described(4, "images that go through the network together")

    def __post_init__(self) -> None:
        if self.min_score is not None and not 0.0 <= self.min_score <= 1.0:
            raise OptionError(f"min_score must be between 0 and 1, got {self.min_score}.")
        if not (self.min_eye_distance >= 0.0 and math.isfinite(self.min_eye_distance)):
            raise OptionError(f"min_eye_distance must be a number of pixels, 0 or more, got {self.min_eye_distance}.")
        if not 0.0 < self.max_overlap <= 1.0:
            raise OptionError(f"max_overlap must be above 0 and at most 1, got {self.max_overlap}.")
        if self.max_side < 64:
            raise OptionError(f"max_side must be at least 64 pixels, got {self.max_side}.")
        if self.min_side < 1:
            raise OptionError(f"min_side must be at least 1 pixel, got {self.min_side}.")
        if self.batch_size < 1:
            raise OptionError(f"batch_size must be at least 1, got {self.batch_size}.")
