"""Configure the look and the damage of old photographs."""

from __future__ import annotations

from dataclasses import dataclass

from .ranges import Range, RangeConfig, number_range, probability


@dataclass(frozen=True)
class OldPhotoConfig(RangeConfig):
    """Probabilities and ranges of the steps that make a face look like a scan of an old photograph.

    Lengths in pixels refer to an image whose shorter side is 512 pixels, as in ``DegradationConfig``.
    """

    focus_probability: float = probability(0.5, "probability that parts of the picture are out of focus")
    focus_sigma_px: Range = number_range(
        (2.0, 8.0), "standard deviation of the blur where the picture is least sharp, in pixels", low=0, high=100
    )
    grain_probability: float = probability(0.7, "probability of film grain")
    grain_std: Range = number_range(
        (0.015, 0.08), "standard deviation of film grain in middle gray, for pixel values from 0 to 1", low=0, high=1
    )
    grain_sigma_px: Range = number_range(
        (0.5, 2.0), "size of film grains, as the standard deviation of a blur, in pixels", low=0, high=20
    )
    halftone_probability: float = probability(0.25, "probability of a halftone of dots or, as in engravings, lines")
    halftone_period_px: Range = number_range(
        (4.0, 9.0), "distance of the dots or lines of a halftone, in pixels", low=1, high=100
    )
    halftone_softness: Range = number_range(
        (0.7, 3.0), "softness of the edges of dots, where 0 is black ink on white paper", low=0, high=10
    )
    fading_probability: float = probability(0.6, "probability of fading")
    black_level: Range = number_range((0.0, 0.25), "pixel value of black in a faded picture", low=0, high=1)
    white_level: Range = number_range((0.7, 1.0), "pixel value of white in a faded picture", low=0, high=1)
    toning_probability: float = probability(0.5, "probability of toning, such as sepia")
    tone_hue: Range = number_range(
        (20.0, 50.0),
        "hue of the tone in degrees: 30 is sepia, 60 is yellow, 210 is the blue of a cyanotype",
        low=0,
        high=360,
    )
    tone_strength: Range = number_range((0.05, 0.3), "strength of the tone", low=0, high=1)
    paper_probability: float = probability(0.5, "probability of paper grain with stains")
    paper_std: Range = number_range(
        (0.01, 0.07), "standard deviation of paper grain, as a fraction of the pixel value", low=0, high=1
    )
    paper_sigma_px: Range = number_range(
        (0.7, 3.0), "size of paper fibers, as the standard deviation of a blur, in pixels", low=0, high=20
    )
    scratch_probability: float = probability(0.35, "probability of scratches")
    scratch_count: Range = number_range((1.0, 8.0), "number of scratches", low=0, high=100)
    scratch_width_px: Range = number_range((0.7, 2.5), "width of scratches, in pixels", low=0, high=50)
    dust_probability: float = probability(0.5, "probability of dust")
    dust_count: Range = number_range((3.0, 50.0), "number of grains of dust", low=0, high=1000)
    dust_radius_px: Range = number_range((0.7, 4.0), "radius of dust, in pixels", low=0, high=50)
    scan_line_probability: float = probability(0.25, "probability of lines of a scanner")
    scan_line_std: Range = number_range(
        (0.005, 0.04), "standard deviation of the brightness of lines, as a fraction of the pixel value", low=0, high=1
    )
