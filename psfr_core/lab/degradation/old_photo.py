"""Make a face look like a scan of an old photograph: its look, which a restoration keeps, and its damage.

Each step takes an image (3, H, W), RGB in [0, 1], and returns a new image of the same shape and dtype. Lengths are in pixels of
this image. A ``seed`` makes random patterns reproducible.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ...checks import seeded_generator
from ...images.channels import luma
from . import operations
from .old_photo_config import OldPhotoConfig
from .sampler import Sampler

_COARSE_CELLS = 5  # number of cells per side of random fields that change slowly over the picture


class Step(Protocol):
    """One step of the look or the damage of an old photograph."""

    def apply(self, image: Tensor) -> Tensor:
        """Return the changed image (3, H, W)."""
        ...


@dataclass(frozen=True)
class OldPhoto:
    """Sampled steps: exposure and print, then the look that aging gives the print, then its damage and the scan."""

    printed: tuple[Step, ...]
    look: tuple[Step, ...]
    damage: tuple[Step, ...]

    def target(self, image: Tensor) -> Tensor:
        """Return the restoration target of the clean ``image`` (3, H, W), which keeps the look."""
        return _in_turn(self.look, image)

    def degraded(self, image: Tensor) -> Tensor:
        """Apply all steps to the clean ``image`` (3, H, W), and return the result."""
        return _in_turn((*self.printed, *self.look, *self.damage), image)

    def __str__(self) -> str:
        return ", ".join(map(str, (*self.printed, *self.look, *self.damage))) or "old photograph without damage"


def _in_turn(steps: Iterable[Step], image: Tensor) -> Tensor:
    return reduce(lambda changed, step: step.apply(changed), steps, image)


@dataclass(frozen=True)
class UnevenFocus:
    """Gaussian blur of up to ``sigma_px`` in random parts of the picture."""

    sigma_px: float
    seed: int

    def apply(self, image: Tensor) -> Tensor:
        blurred = operations.gaussian_blur(image, self.sigma_px)
        return image + (blurred - image) * (0.5 + _slow_field(image, seeded_generator(self.seed))).clamp(0, 1)

    def __str__(self) -> str:
        return f"uneven focus up to {self.sigma_px:.1f} px"


@dataclass(frozen=True)
class FilmGrain:
    """Gray noise of blurred grains, whose standard deviation is ``std`` in middle gray, and falls towards black and white."""

    std: float
    sigma_px: float
    seed: int

    def apply(self, image: Tensor) -> Tensor:
        light = luma(image)
        grain = _grain(image, self.sigma_px, seeded_generator(self.seed))
        return (image + self.std * grain * (0.3 + 2.8 * light * (1 - light))).clamp(0, 1)

    def __str__(self) -> str:
        return f"film grain {self.std:.3f}"


@dataclass(frozen=True)
class Halftone:
    """Screen of dots or lines, whose size depends on the brightness.

    ``softness`` is the width of the edges of the dots in brightness: at 0, the dots are pure ink. Above 1, the dots are a gray
    pattern on the image. The mean brightness is kept, but near black and white, soft dots lower the contrast (by 1/8 at most).
    """

    period_px: float
    angle_degrees: float
    softness: float
    lines: bool

    def apply(self, image: Tensor) -> Tensor:
        x, y = _rotated_positions(image, self.angle_degrees)
        threshold = _triangle_wave(x / self.period_px)
        if not self.lines:
            mean = (threshold + _triangle_wave(y / self.period_px)) / 2
            # the distribution function of the mean, so that all thresholds are equally frequent
            threshold = torch.where(mean < 0.5, 2 * mean.square(), 1 - 2 * (1 - mean).square())
        sharpness = 1 / max(self.softness, 1e-3)
        gray = 0.5 + max(sharpness, 1.0) * (image - 0.5)
        return (gray + sharpness * (0.5 - threshold.to(image))).clamp(0, 1)

    def __str__(self) -> str:
        return f"halftone of {'lines' if self.lines else 'dots'} every {self.period_px:.1f} px"


@dataclass(frozen=True)
class Fading:
    """Reduced contrast: black becomes ``black_level`` and white ``white_level``."""

    black_level: float
    white_level: float

    def apply(self, image: Tensor) -> Tensor:
        return self.black_level + (self.white_level - self.black_level) * image

    def __str__(self) -> str:
        return f"faded to {self.black_level:.2f}-{self.white_level:.2f}"


@dataclass(frozen=True)
class Toning:
    """Color cast that keeps the brightness of gray; ``strength`` is the change of the channels relative to their value."""

    hue_degrees: float
    strength: float

    def apply(self, image: Tensor) -> Tensor:
        angles = torch.deg2rad(self.hue_degrees - torch.tensor([0.0, 120.0, 240.0]))
        gains = 1 + self.strength * angles.cos()[:, None, None]
        return (image * (gains / luma(gains)).to(image)).clamp(0, 1)

    def __str__(self) -> str:
        return f"toned {self.strength:.2f} at {self.hue_degrees:.0f} degrees"


@dataclass(frozen=True)
class Paper:
    """Fibers of the paper, and stains that cover large parts of the picture."""

    std: float
    sigma_px: float
    seed: int

    def apply(self, image: Tensor) -> Tensor:
        generator = seeded_generator(self.seed)
        texture = _grain(image, self.sigma_px, generator) + _slow_field(image, generator)
        return (image * (1 + self.std * texture)).clamp(0, 1)

    def __str__(self) -> str:
        return f"paper grain {self.std:.3f}"


@dataclass(frozen=True)
class Scratches:
    """Light and dark scratches, slightly curved and interrupted."""

    count: int
    width_px: float
    seed: int

    def apply(self, image: Tensor) -> Tensor:
        generator, side = seeded_generator(self.seed), max(image.shape[-2:])
        for _ in range(self.count):
            angle, x, y, length, bend, gaps, width, strength, lightness = torch.rand(9, generator=generator).tolist()
            along, across = _rotated_positions(image, 180 * angle, (side * (x - 0.5), side * (y - 0.5)))
            along = along / side
            distance = (across - 0.3 * side * (bend - 0.5) * along.square()).abs()
            cover = _inside(distance, self.width_px * (0.5 + width) / 2) * (along.abs() < 0.05 + 0.4 * length)
            cover = cover * (0.7 + 0.5 * torch.sin(60 * gaps * along)).clamp(0, 1)
            image = _painted(image, cover * (0.4 + 0.6 * strength), light=lightness < 0.7)
        return image

    def __str__(self) -> str:
        return f"{self.count} scratches"


@dataclass(frozen=True)
class Dust:
    """Light and dark spots of random sizes up to ``radius_px``."""

    count: int
    radius_px: float
    seed: int

    def apply(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        generator = seeded_generator(self.seed)
        for _ in range(self.count):
            x, y, size, angle, ratio, strength, lightness = torch.rand(7, generator=generator).tolist()
            long, short = _rotated_positions(image, 180 * angle, (width * (x - 0.5), height * (y - 0.5)))
            distance = (long.square() + ((1 + ratio) * short).square()).sqrt()
            cover = _inside(distance, self.radius_px * size**2)
            image = _painted(image, cover * (0.4 + 0.6 * strength), light=lightness < 0.5)
        return image

    def __str__(self) -> str:
        return f"{self.count} grains of dust"


@dataclass(frozen=True)
class ScanLines:
    """Rows or columns that are lighter or darker, of which few are conspicuous."""

    std: float
    vertical: bool
    seed: int

    def apply(self, image: Tensor) -> Tensor:
        length = image.shape[-1 if self.vertical else -2]
        noise = torch.randn(length, generator=seeded_generator(self.seed))
        lines = (noise + noise**3) / math.sqrt(22)  # of variance 1
        lines = lines[None, None] if self.vertical else lines[None, :, None]
        return (image * (1 + self.std * lines.to(image))).clamp(0, 1)

    def __str__(self) -> str:
        return f"scanner lines {self.std:.3f}"


def sample_old_photo(config: OldPhotoConfig, scale: float, sampler: Sampler) -> OldPhoto:
    """Sample the steps of an old photograph. ``scale`` is the shorter side of the image divided by the reference side."""
    c, pick, happens = config, sampler.uniform, sampler.happens
    printed: list[Step] = []
    look: list[Step] = []
    damage: list[Step] = []
    if happens(c.focus_probability):
        printed.append(UnevenFocus(scale * pick(c.focus_sigma_px), sampler.seed()))
    if happens(c.grain_probability):
        printed.append(FilmGrain(pick(c.grain_std), scale * pick(c.grain_sigma_px), sampler.seed()))
    if happens(c.halftone_probability):
        period_px, angle = scale * pick(c.halftone_period_px), pick((0.0, 180.0))
        printed.append(Halftone(period_px, angle, pick(c.halftone_softness), lines=happens(0.3)))
    if happens(c.fading_probability):
        look.append(Fading(pick(c.black_level), pick(c.white_level)))
    if happens(c.toning_probability):
        look.append(Toning(pick(c.tone_hue), pick(c.tone_strength)))
    if happens(c.paper_probability):
        damage.append(Paper(pick(c.paper_std), scale * pick(c.paper_sigma_px), sampler.seed()))
    if happens(c.scratch_probability):
        damage.append(Scratches(round(pick(c.scratch_count)), scale * pick(c.scratch_width_px), sampler.seed()))
    if happens(c.dust_probability):
        damage.append(Dust(round(pick(c.dust_count)), scale * pick(c.dust_radius_px), sampler.seed()))
    if happens(c.scan_line_probability):
        damage.append(ScanLines(pick(c.scan_line_std), happens(0.5), sampler.seed()))
    return OldPhoto(tuple(printed), tuple(look), tuple(damage))


def _grain(like: Tensor, sigma_px: float, generator: torch.Generator) -> Tensor:
    """Return blurred noise (1, H, W) with the mean 0 and the standard deviation 1."""
    noise = operations.gaussian_blur(torch.randn(1, *like.shape[-2:], generator=generator), sigma_px)
    noise = noise - noise.mean()
    return (noise / noise.std(correction=0).clamp(min=1e-6)).to(like)


def _slow_field(like: Tensor, generator: torch.Generator) -> Tensor:
    """Return a smooth random field (1, H, W), mostly in [-1, 1], that changes slowly over the picture."""
    coarse = torch.rand(1, 1, _COARSE_CELLS, _COARSE_CELLS, generator=generator) * 2 - 1
    return F.interpolate(coarse, size=like.shape[-2:], mode="bicubic", align_corners=False)[0].to(like)


def _rotated_positions(
    like: Tensor, angle_degrees: float, center: tuple[float, float] = (0.0, 0.0)
) -> tuple[Tensor, Tensor]:
    """Return x and y (H, W) of all pixels on rotated axes, in pixels from ``center``, which counts from the image's center."""
    height, width = like.shape[-2:]
    x = torch.arange(width, device=like.device) - (width - 1) / 2 - center[0]
    y = torch.arange(height, device=like.device)[:, None] - (height - 1) / 2 - center[1]
    sin, cos = math.sin(math.radians(angle_degrees)), math.cos(math.radians(angle_degrees))
    return x * cos + y * sin, y * cos - x * sin


def _triangle_wave(position: Tensor) -> Tensor:
    """Return a wave of period 1 that rises and falls linearly between 0 and 1."""
    return (2 * (position - position.floor()) - 1).abs()


def _inside(distance: Tensor, radius_px: float) -> Tensor:
    """Return the share of each pixel that is nearer than ``radius_px``, from 0 to 1."""
    return (radius_px + 0.5 - distance).clamp(0, min(2 * radius_px, 1))


def _painted(image: Tensor, cover: Tensor, *, light: bool) -> Tensor:
    """Return the image with the color of bare paper, or of dirt, where ``cover`` (H, W) is 1."""
    return image + cover.to(image) * ((0.95 if light else 0.05) - image)
