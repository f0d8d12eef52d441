"""Name the stages of a restoration at which images are measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

Row = dict[str, float]
"""Values by column name; NaN if a value could not be measured."""


@dataclass(frozen=True)
class Stage:
    """Stage at which an image is measured: one of the class variables, or the result of the restorer named ``value``."""

    value: str
    BEFORE: ClassVar[Stage]  # before restoration
    GENERATOR: ClassVar[Stage]
    COLOR_MATCHED: ClassVar[Stage]
    RESULT: ClassVar[Stage]  # restored by any method

    def column(self, name: str) -> str:
        """Return the column name of a metric at this stage. Columns of RESULT have no suffix."""
        return name if self is Stage.RESULT else f"{name}_{self.value}"


Stage.BEFORE = Stage("before")
Stage.GENERATOR = Stage("generator")
Stage.COLOR_MATCHED = Stage("color_matched")
Stage.RESULT = Stage("result")
