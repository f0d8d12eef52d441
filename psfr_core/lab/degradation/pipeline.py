"""Sample the parameters of a degradation, and apply the degradation to an image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor

from ...checks import check_float, check_shape
from ...images.box import Size
from . import operations
from .config import REFERENCE_SIDE, DegradationConfig
from .old_photo import OldPhoto, sample_old_photo
from .operations import Interpolation
from .sampler import Sampler


class BlurKind(str, Enum):
    """Types of blur, which are equally likely."""

    GAUSSIAN = "gaussian"
    BOX = "box"
    MEDIAN = "median"
    MOTION = "motion"


@dataclass(frozen=True)
class Blur:
    """Blur with its parameters; angle and balance apply only to motion blur.

    ``extent_px`` is the standard deviation of a Gaussian blur, the side of a box or median, or the length of a motion.
    """

    kind: BlurKind
    extent_px: float
    angle_degrees: float = 0.0
    balance: float = 0.5

    def apply(self, image: Tensor) -> Tensor:
        """Return the blurred image (3, H, W)."""
        match self.kind:
            case BlurKind.GAUSSIAN:
                return operations.gaussian_blur(image, self.extent_px)
            case BlurKind.BOX:
                return operations.box_blur(image, self.extent_px)
            case BlurKind.MEDIAN:
                return operations.median_blur(image, self.extent_px)
            case BlurKind.MOTION:
                return operations.motion_blur(image, self.extent_px, self.angle_degrees, self.balance)


@dataclass(frozen=True)
class Noise:
    """Gaussian noise that ``seed`` makes reproducible; see ``operations.add_noise``."""

    std: float
    per_channel: bool
    seed: int


@dataclass(frozen=True)
class Degradation:
    """Sampled parameters of one degradation. Applying them is deterministic, and None omits a step.

    ``then`` is the next degradation, which is applied to the reduced image. Each ``reduced_side`` is a fraction of the
    original side.
    """

    gray: bool
    blur: Blur | None
    reduced_side: float
    interpolation: Interpolation
    noise: Noise | None
    jpeg_quality: int | None
    then: Degradation | None = None
    old_photo: OldPhoto | None = None

    def __str__(self) -> str:
        steps = ["gray"] if self.gray else []
        if self.old_photo is not None:
            steps.append(str(self.old_photo))
        if self.blur is not None:
            steps.append(f"{self.blur.kind.value} blur {self.blur.extent_px:.1f} px")
        steps.append(f"reduced to {self.reduced_side:.3f} ({self.interpolation.value})")
        if self.noise is not None:
            steps.append(f"noise {self.noise.std:.3f}{' per channel' if self.noise.per_channel else ''}")
        if self.jpeg_quality is not None:
            steps.append(f"JPEG {self.jpeg_quality}")
        if self.then is not None:
            steps.append(f"then {self.then}")
        return ", ".join(steps)


class DegradedPair(NamedTuple):
    """Degraded image and restoration target, both (3, H, W). If ``lq`` is gray, faded or toned, ``hq`` is too."""

    lq: Tensor
    hq: Tensor


def degrade(hq: Tensor, config: DegradationConfig, generator: torch.Generator) -> DegradedPair:
    """Degrade the clean image ``hq`` (3, H, W), RGB in [0, 1], with parameters sampled from the CPU ``generator``."""
    check_shape(hq, "3 H W", "hq")
    return apply_degradation(hq, sample_degradation(config, min(Size.of(hq)), generator))


def apply_degradation(hq: Tensor, degradation: Degradation) -> DegradedPair:
    """Degrade the clean image ``hq`` (3, H, W), RGB in [0, 1], and quantize the result to 256 levels.

    The published order of the steps is used: gray, blur, downscale, noise, JPEG, upscale (bicubic). The steps of an old
    photograph follow gray. Both images of the pair have the size of ``hq``.
    """
    check_shape(hq, "3 H W", "hq")
    check_float(hq, "hq")
    if degradation.gray:
        hq = operations.gray(hq)
    lq = hq
    if degradation.old_photo is not None:
        lq, hq = degradation.old_photo.degraded(hq), degradation.old_photo.target(hq)
    size = Size.of(hq)
    lq = operations.quantized(operations.resize(_reduce(lq, degradation, size), size, Interpolation.BICUBIC))
    return DegradedPair(lq, hq)


def _reduce(image: Tensor, degradation: Degradation, size: Size) -> Tensor:
    """Apply all passes without the final upscaling. ``size`` is the size of the original image."""
    if degradation.blur is not None:
        image = degradation.blur.apply(image)
    image = operations.resize(image, _reduced(size, degradation.reduced_side), degradation.interpolation)
    noise, quality = degradation.noise, degradation.jpeg_quality
    if noise is not None:
        image = operations.add_noise(image, noise.std, noise.per_channel, noise.seed)
    image = operations.quantized(image) if quality is None else operations.jpeg(image, quality)
    return image if degradation.then is None else _reduce(image, degradation.then, size)


def sample_degradation(config: DegradationConfig, side: int, generator: torch.Generator) -> Degradation:
    """Sample a degradation for an image whose shorter side is ``side`` pixels.

    Raises InputError if ``generator`` is not a CPU generator.
    """
    sampler = Sampler(generator)
    is_gray = sampler.happens(config.grey_probability)
    old_photo = None
    if config.old_photo is not None:  # None draws no random number, so that older degradations stay reproducible
        old_photo = sample_old_photo(config.old_photo, side / REFERENCE_SIDE, sampler)
    return replace(_sample_pass(config, side, sampler, gray=is_gray, passes=config.passes), old_photo=old_photo)


def _sample_pass(
    config: DegradationConfig, side: int, sampler: Sampler, *, passes: int, gray: bool = False, reduced: float = 1.0
) -> Degradation:
    """Sample ``passes`` chained degradations. The first one gets the image at the fraction ``reduced`` of its original side."""
    scale = reduced * side / REFERENCE_SIDE
    blur = _sample_blur(config, scale, sampler) if sampler.happens(config.blur_probability) else None
    reduced = sampler.uniform(config.reduced_side)
    return Degradation(
        gray=gray,
        blur=blur,
        reduced_side=reduced,
        interpolation=sampler.choice(tuple(Interpolation)),
        noise=_sample_noise(config, sampler) if sampler.happens(config.noise_probability) else None,
        jpeg_quality=round(sampler.uniform(config.jpeg_quality)) if sampler.happens(config.jpeg_probability) else None,
        then=_sample_pass(config, side, sampler, passes=passes - 1, reduced=reduced) if passes > 1 else None,
    )


def _sample_blur(config: DegradationConfig, scale: float, sampler: Sampler) -> Blur:
    kind = sampler.choice(tuple(BlurKind))
    match kind:
        case BlurKind.GAUSSIAN:
            return Blur(kind, scale * sampler.uniform(config.gaussian_sigma_px))
        case BlurKind.BOX:
            return Blur(kind, max(scale * sampler.uniform(config.box_size_px), 1.0))
        case BlurKind.MEDIAN:
            return Blur(kind, max(scale * sampler.uniform(config.median_size_px), 1.0))
        case BlurKind.MOTION:
            length_px = max(scale * sampler.uniform(config.motion_length_px), 1.0)
            return Blur(
                kind, length_px, angle_degrees=sampler.uniform((0.0, 360.0)), balance=sampler.uniform((0.0, 1.0))
            )


def _sample_noise(config: DegradationConfig, sampler: Sampler) -> Noise:
    per_channel = sampler.happens(config.noise_per_channel_probability)
    return Noise(sampler.uniform(config.noise_std), per_channel, sampler.seed())


def _reduced(size: Size, fraction: float) -> Size:
    return Size(max(round(size.width * fraction), 1), max(round(size.height * fraction), 1))
