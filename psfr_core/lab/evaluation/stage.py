"""The stages of a restoration at which images are measured."""

from __future__ import annotations

from enum import Enum

Row = dict[str, float]
"""Values by column name; NaN where there is nothing to measure."""


class Stage(str, Enum):
    """Stage of a restoration at which an image is measured."""

    BEFORE = "before"  # degraded, not restored
    GENERATOR = "generator"
    COLOR_MATCHED = "color_matched"
    RESULT = "result"  # restored by any method

    def column(self, name: str) -> str:
        """Return the column of a metric at this stage; results of other methods have no suffix."""
        return name if self is Stage.RESULT else f"{name}_{self.value}"
