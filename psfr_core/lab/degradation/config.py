"""Configure the probabilities and ranges from which degradations are sampled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, cast

from ...errors import OptionError
from ...files import read_json
from .old_photo_config import OldPhotoConfig
from .ranges import Range, RangeConfig, count, number_range, probability

REFERENCE_SIDE = 512  # ranges in pixels refer to images with this shorter side
MAX_PASSES = 4


@dataclass(frozen=True)
class DegradationConfig(RangeConfig):
    """Probabilities and ranges from which a degradation is sampled; the defaults are those of the paper.

    Lengths in pixels refer to an image whose shorter side is 512 pixels, and scale with that side. With several ``passes``,
    each pass starts from the reduced image of the previous pass, and its lengths are scaled to that image. This is the
    high-order degradation of Wang et al., Real-ESRGAN (2021).
    Source: Chen et al., Progressive Semantic-Aware Style Transformation for Blind Face Restoration (2021).
    """

    grey_probability: float = probability(0.3, "probability of removing the color")
    blur_probability: float = probability(0.5, "probability of a blur: Gaussian, box, median or motion, equally likely")
    gaussian_sigma_px: Range = number_range(
        (3.0, 15.0), "standard deviation of the Gaussian blur, in pixels", low=0, high=100
    )
    box_size_px: Range = number_range((3.0, 15.0), "side of the box blur, in pixels", low=1, high=100)
    median_size_px: Range = number_range((3.0, 15.0), "side of the median filter, in pixels", low=1, high=31)
    motion_length_px: Range = number_range((5.0, 25.0), "length of the motion blur, in pixels", low=1, high=100)
    reduced_side: Range = number_range(
        (1 / 16, 1 / 2), "side of the reduced image, as a fraction of the original side", low=1 / 512, high=1
    )
    noise_probability: float = probability(0.2, "probability of Gaussian noise")
    noise_std: Range = number_range(
        (0.0, 0.1), "standard deviation of the noise, for pixel values from 0 to 1", low=0, high=1
    )
    noise_per_channel_probability: float = probability(0.5, "probability that noise is colored instead of gray")
    jpeg_probability: float = probability(0.7, "probability of JPEG compression")
    jpeg_quality: Range = number_range((35.0, 90.0), "JPEG quality", low=1, high=100)
    passes: int = count(
        1,
        "number of passes of blur, reduction, noise and JPEG; 2 simulates images that were shared repeatedly",
        low=1,
        high=MAX_PASSES,
    )
    old_photo: OldPhotoConfig | None = None
    """Look and damage of an old photograph, applied before the blur; None omits them."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DegradationConfig:
        old_photo = values.get("old_photo")
        if old_photo is None:
            return super().from_dict(values)
        if not isinstance(old_photo, dict):
            raise OptionError(f"old_photo must be an object of ranges by name or null, got {old_photo!r}.")
        return super().from_dict({**values, "old_photo": OldPhotoConfig.from_dict(cast("dict[str, Any]", old_photo))})


class DegradationPreset(str, Enum):
    """Name of a built-in degradation."""

    PAPER = "paper"  # the published degradation, used for all reported metrics
    HARDER = "harder"  # a second-order degradation, similar to images that were shared and saved many times
    OLD = "old"  # old photographs: grain, halftone, fading, toning, paper, scratches, dust and lines of a scanner
    NONE = "none"  # no degradation, for training that leaves sharp faces unchanged

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


def load_degradations(sources: str | Sequence[str]) -> list[DegradationConfig]:
    """Return the degradation of each source, or that of a single source. See ``load_degradation``.

    Raises OptionError if there is no source.
    """
    if not sources:
        raise OptionError("A list of degradations needs at least one entry, such as paper.")
    return [load_degradation(source) for source in ([sources] if isinstance(sources, str) else sources)]


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
    DegradationPreset.OLD: DegradationConfig(
        grey_probability=0.9,
        blur_probability=0.4,
        gaussian_sigma_px=(0.7, 5.0),
        box_size_px=(1.0, 7.0),
        median_size_px=(1.0, 7.0),
        motion_length_px=(1.0, 8.0),
        reduced_side=(1 / 4, 1.0),
        noise_std=(0.0, 0.06),
        jpeg_quality=(40.0, 95.0),
        old_photo=OldPhotoConfig(),
    ),
    DegradationPreset.NONE: DegradationConfig(
        grey_probability=0, blur_probability=0, reduced_side=(1.0, 1.0), noise_probability=0, jpeg_probability=0
    ),
}
