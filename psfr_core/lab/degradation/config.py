"""Configure the probabilities and ranges from which degradations are sampled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from ...errors import OptionError
from ...files import read_json
from ...options import check_value

T = TypeVar("T")
REFERENCE_SIDE = 512  # ranges in pixels refer to images with this shorter side
MAX_PASSES = 4
Range = tuple[float, float]


class FieldKind(Enum):
    """Type of the value of a field of ``DegradationConfig``."""

    PROBABILITY = "probability"  # a number from 0 to 1
    RANGE = "range"  # (low, high), including both ends
    COUNT = "count"  # an integer


@dataclass(frozen=True)
class FieldLimits:
    """Type of a field, and the minimum and maximum of the numbers in its value."""

    kind: FieldKind
    low: float
    high: float


def limits_of(config_field: Field[Any]) -> FieldLimits:
    """Return the limits of a field of ``DegradationConfig``."""
    return config_field.metadata["limits"]


def _probability(default: float, description: str) -> float:
    return _limited(default, description, FieldLimits(FieldKind.PROBABILITY, 0.0, 1.0))


def _range(default: Range, description: str, *, low: float, high: float) -> Range:
    return _limited(default, description, FieldLimits(FieldKind.RANGE, low, high))


def _limited(default: T, description: str, limits: FieldLimits) -> T:
    return field(default=default, metadata={"description": description, "limits": limits})


@dataclass(frozen=True)
class DegradationConfig:
    """Probabilities and ranges from which a degradation is sampled; the defaults are those of the paper.

    Lengths in pixels refer to an image whose shorter side is 512 pixels, and scale with that side. With several ``passes``,
    each pass starts from the reduced image of the previous pass, and its lengths are scaled to that image. This is the
    high-order degradation of Wang et al., Real-ESRGAN (2021).
    Source: Chen et al., Progressive Semantic-Aware Style Transformation for Blind Face Restoration (2021).
    """

    grey_probability: float = _probability(0.3, "probability of removing the color")
    blur_probability: float = _probability(
        0.5, "probability of a blur: Gaussian, box, median or motion, equally likely"
    )
    gaussian_sigma_px: Range = _range(
        (3.0, 15.0), "standard deviation of the Gaussian blur, in pixels", low=0, high=100
    )
    box_size_px: Range = _range((3.0, 15.0), "side of the box blur, in pixels", low=1, high=100)
    median_size_px: Range = _range((3.0, 15.0), "side of the median filter, in pixels", low=1, high=31)
    motion_length_px: Range = _range((5.0, 25.0), "length of the motion blur, in pixels", low=1, high=100)
    reduced_side: Range = _range(
        (1 / 16, 1 / 2), "side of the reduced image, as a fraction of the original side", low=1 / 512, high=1
    )
    noise_probability: float = _probability(0.2, "probability of Gaussian noise")
    noise_std: Range = _range(
        (0.0, 0.1), "standard deviation of the noise, for pixel values from 0 to 1", low=0, high=1
    )
    noise_per_channel_probability: float = _probability(0.5, "probability that noise is colored instead of gray")
    jpeg_probability: float = _probability(0.7, "probability of JPEG compression")
    jpeg_quality: Range = _range((35.0, 90.0), "JPEG quality", low=1, high=100)
    passes: int = _limited(
        1,
        "number of passes of blur, reduction, noise and JPEG; 2 simulates images that were shared repeatedly",
        FieldLimits(FieldKind.COUNT, 1, MAX_PASSES),
    )

    def __post_init__(self) -> None:
        for config_field in fields(self):
            name, value, limits = config_field.name, getattr(self, config_field.name), limits_of(config_field)
            match limits.kind:
                case FieldKind.PROBABILITY:
                    check_value(name, value, float, low=limits.low, high=limits.high)
                case FieldKind.COUNT:
                    check_value(name, value, int, low=limits.low, high=limits.high)
                case FieldKind.RANGE:
                    _check_range(name, value, limits.low, limits.high)

    def to_dict(self) -> dict[str, float | list[float]]:
        """Return the fields by name as JSON values; ranges become lists."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DegradationConfig:
        """Return the configuration for the result of ``to_dict``. Missing fields have their defaults.

        Raises OptionError for unknown fields and for values out of range.
        """
        known = [config_field.name for config_field in fields(cls)]
        unknown = [name for name in values if name not in known]
        if unknown:
            raise OptionError(
                f"Unknown fields of a degradation: {', '.join(unknown)}. Known fields: {', '.join(known)}."
            )
        ranges: dict[str, Any] = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**{**values, **ranges})


class DegradationPreset(str, Enum):
    """Name of a built-in degradation."""

    PAPER = "paper"  # the published degradation, used for all reported metrics
    HARDER = "harder"  # a second-order degradation, similar to images that were shared and saved many times

    @property
    def config(self) -> DegradationConfig:
        """The probabilities and ranges of this preset."""
        return _PRESETS[self]


def load_degradation(source: str) -> DegradationConfig:
    """Return the preset named ``source``, or read the configuration from the JSON file at this path.

    The file has the format of ``DegradationConfig.to_dict``. Raises OptionError if ``source`` is neither a preset nor a
    readable file, or if a field is unknown or out of range.
    """
    if source in [preset.value for preset in DegradationPreset]:
        return DegradationPreset(source).config
    try:
        values = read_json(Path(source))
    except (OSError, ValueError) as error:
        names = ", ".join(preset.value for preset in DegradationPreset)
        raise OptionError(
            f"{source} is neither a preset ({names}) nor a readable JSON file of a degradation: {error}"
        ) from error
    if not isinstance(values, dict):
        raise OptionError(f"{source} must contain a JSON object of ranges by name, got {type(values).__name__}.")
    return DegradationConfig.from_dict(values)


def _check_range(name: str, value: object, minimum: float, maximum: float) -> None:
    match value:
        case (int() | float() as low, int() | float() as high) if isinstance(value, tuple):
            if not minimum <= low <= high <= maximum:
                raise OptionError(
                    f"{name} must be (low, high) with {minimum:g} <= low <= high <= {maximum:g}, got {value}."
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
