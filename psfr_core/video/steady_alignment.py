"""Align the faces of a track such that their crops do not jitter."""

from __future__ import annotations

from enum import Enum

import torch
from torch import Tensor

from ..faces.template import template_for
from ..images.box import Size
from ..images.similarity import compose_affines, fit_similarity, resize_affine, similarity_inliers
from .one_euro import smooth_causally
from .steady_landmarks import smooth_landmarks
from .tracks import Track, interpolated

_UNIT = 1  # side in pixels of the crop of align_track
_INLIER_DEVIATION = 4.0  # standard deviation, in frames, of the Gaussian window that averages the inlier flags


class Smoothing(str, Enum):
    """Smoothing of the alignment of a face over time."""

    TWO_SIDED = "two-sided"  # by past and future frames, without delay
    PAST_ONLY = "past-only"  # by past frames, as a live video requires
    NONE = "none"


def align_track(track: Track, smoothing: Smoothing = Smoothing.TWO_SIDED) -> Tensor:
    """Return the similarity transforms (N, 2, 3) from the image to the aligned crop, one for each frame of ``track``.

    The transforms are float64. The side of the crop is 1 pixel; ``crop_transform`` scales a transform to another crop size.
    Without smoothing, a landmark that disagrees with the others, such as the nose of a turned head, is ignored. With smoothing,
    its weight is the weighted fraction of nearby frames in which it agrees, because a separate decision in each frame would make
    the crop jump.
    """
    landmarks = _smoothed(track, smoothing)
    template = template_for(_UNIT)
    flags = torch.stack([similarity_inliers(points, template) for points in landmarks]).double()
    weights = flags if smoothing is Smoothing.NONE else _averaged(flags, smoothing)
    fits = [fit_similarity(points, template, weight) for points, weight in zip(landmarks, weights, strict=True)]
    return torch.stack(fits)


def crop_transform(unit_transform: Tensor, crop_size: int) -> Tensor:
    """Return a transform (2, 3) of ``align_track`` scaled to a crop of ``crop_size`` pixels."""
    return compose_affines(unit_transform, resize_affine(Size(_UNIT, _UNIT), Size(crop_size, crop_size)))


def _smoothed(track: Track, smoothing: Smoothing) -> Tensor:
    """Return the smoothed landmarks (N, 5, 2), float64, of all frames of ``track``."""
    if smoothing is Smoothing.NONE:
        return track.landmarks
    if smoothing is Smoothing.PAST_ONLY:
        return smooth_causally(track.landmarks)
    found = (track.scores > 0).nonzero().flatten()
    return interpolated(smooth_landmarks(track.landmarks[found], found), found, len(track))


def _averaged(flags: Tensor, smoothing: Smoothing) -> Tensor:
    """Return the weighted mean of ``flags`` (N, 5) over the frames around each frame, without later ones for PAST_ONLY."""
    radius = round(3 * _INLIER_DEVIATION)
    offsets = torch.arange(-radius, radius + 1)
    kernel = torch.exp(-0.5 * (offsets / _INLIER_DEVIATION).double().square())
    if smoothing is Smoothing.PAST_ONLY:
        kernel = kernel * (offsets <= 0)
    index = torch.arange(len(flags))[:, None] + offsets
    inside = index.clamp(0, len(flags) - 1)
    weights = kernel * (index == inside)
    mean = (weights[..., None] * flags[inside]).sum(1) / weights.sum(1)[:, None]
    return mean.round(decimals=6)  # so that equal flags give equal weights
