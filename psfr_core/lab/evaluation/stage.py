"""The stages of a restoration at which images are measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

Row = dict[str, float]
"""Values by column name; NaN where there is nothing to measure."""


@dataclass(frozen=True)
class Stage:
    """Stage of a restoration at which an image is measured: one of these, or the result of the restorer of this name."""

    value: str
    BEFORE: ClassVar[Stage]  # degraded, not restored
    GENERATOR: ClassVar[Stage]
    COLOR_MATCHED: ClassVar[Stage]
    RESULT: ClassVar[Stage]  # restored by any method

    def column(self, name: str) -> str:
        """Return the column of a metric at this stage; results of other methods have no suffix."""
        return name if self is Stage.RESULT else f"{name}_{self.value}"


Stage.BEFORE = Stage("before")
Stage.GENERATOR = Stage("generator")
Stage.COLOR_MATCHED = Stage("color_matched")
Stage.RESULT = Stage("result")
