"""The ranges a degradation is drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any

from ...errors import OptionError
from ...files import read_json
from ...options import option

REFERENCE_SIDE = 512  # the image side in pixels that the ranges in pixels are meant for
Range = tuple[float, float]


@dataclass(frozen=True)
class DegradationConfig:
    """What to draw from, as (low, high) ranges with both ends included; the defaults are those of the paper.

    Ranges in pixels hold for an image whose shorter side is 512 pixels, and shrink and grow with it. With more than one of
    ``passes`` the reduced picture is blurred, resized and so on again, its lengths in pixels taken at its own size: the
    second-order degradation of Wang et al., Real-ESRGAN (2021).
    Source: Chen et al., Progressive Semantic-Aware Style Transformation for Blind Face Restoration (2021).
    """

    grey_probability: float = option(0.3, "how often color is taken away")
    blur_probability: float = option(0.5, "how often the image is blurred, in one of four ways")
    gaussian_sigma_px: Range = option((3.0, 15.0), "Gaussian blur: its standard deviation in pixels")
    box_size_px: Range = option((3.0, 15.0), "box blur: its side in pixels")
    median_size_px: Range = option((3.0, 15.0), "median filter: its side in pixels")
    motion_length_px: Range = option((5.0, 25.0), "motion blur: its length in pixels")
    reduced_side: Range = option((1 / 16, 1 / 2), "the size before enlarging again, as a fraction of the image's")
    noise_probability: float = option(0.2, "how often noise is added")
    noise_std: Range = option((0.0, 0.1), "the noise's standard deviation, for values from 0 to 1")
    noise_per_channel_probability: float = option(0.5, "how often noise has color")
    jpeg_probability: float = option(0.7, "how often the image is saved as JPEG")
    jpeg_quality: Range = option((35.0, 90.0), "JPEG's quality")
    passes: int = option(
        1,
        "how many times in a row the picture is blurred, reduced, given noise and saved; 2 resembles pictures shared often",
    )

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "passes":
                _check_passes(value)
            elif field.name.endswith("_probability"):
                _check_probability(field.name, value)
            else:
                _check_range(field.name, value, *LIMITS[field.name])

    def to_dict(self) -> dict[str, float | list[float]]:
        """The ranges and probabilities by name, made of what JSON has."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DegradationConfig:
        """The configuration that ``to_dict`` wrote; names left out keep defaults, unknown ones raise OptionError."""
        known = [field.name for field in fields(cls)]
        unknown = [name for name in values if name not in known]
        if unknown:
            raise OptionError(f"A degradation has no {', '.join(unknown)}; it has {', '.join(known)}.")
        ranges: dict[str, Any] = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**{**values, **ranges})


class DegradationPreset(str, Enum):
    """Degradations with a name."""

    PAPER = "paper"  # what the published networks and all figures are made with
    HARDER = "harder"  # second-order: closer to pictures that were shared and saved again and again

    @property
    def config(self) -> DegradationConfig:
        """What is drawn from."""
        return _PRESETS[self]


def load_degradation(source: str) -> DegradationConfig:
    """The preset of this name, or the configuration in a JSON file of this path, as ``to_dict`` gives it.

    Raises OptionError for anything else.
    """
    if source in [preset.value for preset in DegradationPreset]:
        return DegradationPreset(source).config
    try:
        values = read_json(Path(source))
    except (OSError, ValueError) as error:
        names = ", ".join(preset.value for preset in DegradationPreset)
        raise OptionError(
            f"{source} is neither a preset ({names}) nor a JSON file of a degradation: {error}"
        ) from error
    if not isinstance(values, dict):
        raise OptionError(f"{source} must hold a JSON object with ranges by name, got {type(values).__name__}.")
    return DegradationConfig.from_dict(values)


MAX_PASSES = 4

# What each range may reach from and to.
LIMITS: dict[str, Range] = {
    "gaussian_sigma_px": (0.0, 100.0),
    "box_size_px": (1.0, 100.0),
    "median_size_px": (1.0, 31.0),
    "motion_length_px": (1.0, 100.0),
    "reduced_side": (1 / 512, 1.0),
    "noise_std": (0.0, 1.0),
    "jpeg_quality": (1.0, 100.0),
}


def _check_passes(value: object) -> None:
    if not isinstance(value, int) or not 1 <= value <= MAX_PASSES:
        raise OptionError(f"passes must be a whole number from 1 to {MAX_PASSES}, got {value!r}.")


def _check_probability(name: str, value: object) -> None:
    if not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
        raise OptionError(f"{name} must be a number from 0 to 1, got {value!r}.")


def _check_range(name: str, value: object, lowest: float, highest: float) -> None:
    match value:
        case (int() | float() as low, int() | float() as high) if isinstance(value, tuple):
            if not lowest <= low <= high <= highest:
                raise OptionError(
                    f"{name} must be (low, high) with {lowest:g} <= low <= high <= {highest:g}, got {value}."
                )
        case _:
            raise OptionError(f"{name} must be two numbers (low, high), got {value!r}.")


_PRESETS = {
    DegradationPreset.PAPER: DegradationConfig(),
    DegradationPreset.HARDER: DegradationConfig(
        blur_probability=0.7,
        gaussian_sigma_px=(2.0, 15.0),
        noise_probability=0.4,
        jpeg_probability=0.9,
        jpeg_quality=(30.0, 90.0),
        passes=2,
    ),
}
