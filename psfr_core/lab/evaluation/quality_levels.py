"""Degrade a clean face to many levels, from undamaged to heavily degraded."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ...checks import seeded_generator
from ..degradation.config import REFERENCE_SIDE, DegradationConfig
from ..degradation.operations import Interpolation
from ..degradation.pipeline import Blur, BlurKind, Degradation, DegradedPair, Noise, apply_degradation, degrade

PAPER_LEVEL = "paper"


def degraded_versions(face: Tensor, seed: int) -> Mapping[str, DegradedPair]:
    """Degrade the clean ``face`` (3, S, S), RGB in [0, 1], at each level, and return the pairs by name of the level.

    The names of the levels give blurs in pixels of a face of 512 px, and the blurs are scaled to S. ``seed`` determines the noise
    and the random degradation of the level "paper".
    """
    scale = face.shape[-1] / REFERENCE_SIDE
    levels = {
        "none": _level(),
        "JPEG 90": _level(jpeg_quality=90),
        "JPEG 50": _level(jpeg_quality=50),
        "reduced to 0.8": _level(reduced_side=0.8),
        "reduced to 0.65": _level(reduced_side=0.65),
        "reduced to 0.5": _level(reduced_side=0.5),
        "reduced to 0.5, JPEG 75": _level(reduced_side=0.5, jpeg_quality=75),
        "reduced to 0.35": _level(reduced_side=0.35),
        "reduced to 0.25": _level(reduced_side=0.25),
        "blur 1 px": _level(blur_px=scale),
        "blur 2 px": _level(blur_px=2 * scale),
        "blur 4 px": _level(blur_px=4 * scale),
        "noise 0.01": _level(noise=Noise(0.01, per_channel=True, seed=seed)),
        "noise 0.02": _level(noise=Noise(0.02, per_channel=True, seed=seed)),
        "noise 0.05": _level(noise=Noise(0.05, per_channel=True, seed=seed)),
    }
    versions = {name: apply_degradation(face, degradation) for name, degradation in levels.items()}
    return {**versions, PAPER_LEVEL: degrade(face, DegradationConfig(), seeded_generator(seed))}


def _level(
    *,
    blur_px: float | None = None,
    reduced_side: float = 1.0,
    noise: Noise | None = None,
    jpeg_quality: int | None = None,
) -> Degradation:
    return Degradation(
        gray=False,
        blur=None if blur_px is None else Blur(BlurKind.GAUSSIAN, blur_px),
        reduced_side=reduced_side,
        interpolation=Interpolation.BICUBIC,
        noise=noise,
        jpeg_quality=jpeg_quality,
    )
