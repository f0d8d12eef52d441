"""What is measured of each picture, and of which picture."""

from __future__ import annotations

from enum import Enum

Row = dict[str, float]
"""Figures by the names of their columns; not a number where there is nothing to measure."""


class Metric(str, Enum):
    """The figures of single pictures."""

    PSNR = "psnr"
    SSIM = "ssim"
    MS_SSIM = "ms_ssim"
    LPIPS = "lpips"
    IDENTITY = "identity_distance"
    LANDMARKS = "landmark_distance"
    NIQE = "niqe"

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger figure means a better picture."""
        return self in (Metric.PSNR, Metric.SSIM, Metric.MS_SSIM)


class Stage(str, Enum):
    """What a face has gone through when it is measured."""

    BEFORE = "before"  # degraded only
    GENERATOR = "generator"
    COLOR_MATCHED = "color_matched"
    RESULT = "result"  # somebody's, whatever was done

    def column(self, name: str) -> str:
        """The column of a figure: results that are measured alone need no word for it."""
        return name if self is Stage.RESULT else f"{name}_{self.value}"
