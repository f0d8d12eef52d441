"""Specify the cases, models and images of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from ...errors import OptionError
from ...images.channels import to_rgb
from ...images.decoding import MAX_PIXELS
from ...images.io import read_image
from .cases import CASES, skip_reason
from .context import BenchmarkContext
from .measure import MIN_REPEATS


@dataclass(frozen=True, kw_only=True)
class BenchmarkSpec:
    """Specification of a benchmark: names of the cases, number of runs, models by name or file, and photos with faces.

    If ``cases`` is empty, all cases that can be measured are measured. ``BenchmarkContext`` states which networks are used if
    ``generator`` or ``parser`` is None. ``max_pixels`` is the maximum number of pixels of an image, and None sets no limit.
    Raises OptionError for an unknown case and for too few repeats.
    """

    cases: tuple[str, ...] = ()
    repeats: int = MIN_REPEATS
    generator: str | None = None
    parser: str | None = None
    detector: str | None = None
    images: tuple[Path, ...] = ()
    max_pixels: int | None = MAX_PIXELS

    def __post_init__(self) -> None:
        unknown = [name for name in self.cases if name not in CASES]
        if unknown:
            raise OptionError(f"There is no case {unknown[0]}. Choose among {', '.join(CASES)}.")
        if self.repeats < MIN_REPEATS:
            raise OptionError(f"repeats must be at least {MIN_REPEATS}, got {self.repeats}: timings are noisy.")

    def context(self, device: torch.device) -> BenchmarkContext:
        """Read the images and return the context of all cases. Raise ImageFileError if an image cannot be read."""
        images = tuple(to_rgb(read_image(path, max_pixels=self.max_pixels).pixels) for path in self.images)
        return BenchmarkContext(device, self.repeats, self.generator, self.parser, self.detector, images)

    def skipped(self, context: BenchmarkContext) -> Mapping[str, str]:
        """Return the cases that cannot be measured, each with the reason.

        Raises OptionError if ``cases`` contains such a case.
        """
        reasons = {name: skip_reason(name, context) for name in self.cases or CASES}
        skipped = {name: reason for name, reason in reasons.items() if reason is not None}
        for name, reason in skipped.items():
            if self.cases:
                raise OptionError(f"The case {name} cannot be measured: {reason}.")
        return skipped
