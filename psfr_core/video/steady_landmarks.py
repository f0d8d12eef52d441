"""Remove the jitter of landmarks over time without delaying their motion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..checks import check_finite, check_shape

# In the following numbers of frames, only frames in which the face was found are counted.
_PILOT_RADIUS = 3  # radius in frames of the windows of the first fit
_WIDTHS = (1.5, 3.0, 6.0)  # standard deviations in frames of the windows of the following fits
_RADIUS_IN_WIDTHS = 2.5  # radius of these windows in standard deviations
_REJECTED = 4.0  # residual, in standard deviations of the noise, from which a frame has no weight
# RMS distances between the smoothed and the detected landmarks, in standard deviations of the noise. In linear motion, the distance
# is about 1.0 +- 0.2. From the first limit to the second, the weight of a fit falls from 1 to 0 in favor of the fit in the narrower
# window, or of the detected landmarks in place of the narrowest one.
_TRUST_LIMITS = (1.4, 2.0)
# Minimum distance of an outlier from the position that its neighbors predict, in standard deviations of the noise.
_OUTLIER = 7.0
_OUTLIER_RATIO = 1.3  # minimum ratio of an outlier's distance to the distances of both its neighbors; 1.5 without noise
_FRAMES_AT_ONCE = 1024  # limits the memory for long tracks
_MAD_TO_DEVIATION = 1.4826  # factor from median absolute to standard deviation for a normal distribution


def smooth_landmarks(landmarks: Tensor, frames: Tensor | None = None) -> Tensor:
    """Smooth the ``landmarks`` (N, 5, 2) of a face by past and future frames, and return them as float64 on the CPU.

    ``frames`` (N,) are the ascending indices of the frames in which the face was found; None stands for successive frames. Each
    frame is predicted by a line through the frames around it, fitted with weights: near frames count more, and frames that
    deviate from the motion count less, or not at all. A steady pan is followed without delay, a sudden movement is not blurred,
    and the landmarks of a single frame that deviate from those before and after are ignored. The noise is measured on the
    landmarks themselves. Except for ignored landmarks, the result stays within two standard deviations of the noise (RMS) of
    ``landmarks``. Landmarks without noise and those of fewer than four frames are returned unchanged. Raises InputError for another
    shape and for values that are not finite.
    """
    check_shape(landmarks, "N 5 2", "landmarks")
    check_finite(landmarks, "landmarks")
    points = landmarks.detach().cpu().double()
    noise = landmark_noise(points)
    if noise == 0:
        return points
    times = torch.arange(len(points)).double() if frames is None else frames.cpu().double()
    found = _Found(points.flatten(1), times / times.diff().median())
    counts = ~_outliers(found, noise)
    parts = torch.arange(len(points)).split(_FRAMES_AT_ONCE)
    return torch.cat([_smooth(found, counts, noise, part) for part in parts]).view_as(points)


def landmark_noise(landmarks: Tensor) -> float:
    """Return the standard deviation of the jitter in ``landmarks`` (N, 5, 2), in pixels; 0 for fewer than four frames.

    It is estimated from second differences over time of the landmarks relative to their center, which the motion of a head
    changes little.
    """
    if len(landmarks) < 4:
        return 0.0
    around_center = landmarks - landmarks.mean(dim=1, keepdim=True)
    curvature = around_center.diff(n=2, dim=0).abs()
    # A second difference has 6 times the variance of the noise. Subtracting the center of 5 landmarks leaves 4/5 of it.
    return float(curvature.median()) * _MAD_TO_DEVIATION / math.sqrt(6 * 4 / 5)


@dataclass(frozen=True, eq=False)
class _Found:
    """The landmarks of a face: ``points`` (N, 10) at ``times`` (N,), in units of the median time between successive entries."""

    points: Tensor
    times: Tensor

    def around(self, centers: Tensor, radius: int) -> _Window:
        """Return the windows that have ``radius`` entries on each side of the entries ``centers`` (K,)."""
        index = centers[:, None] + torch.arange(-radius, radius + 1)
        inside = index.clamp(0, len(self.points) - 1)
        return _Window(self.points[inside], self.times[inside], inside, index == inside)


@dataclass(frozen=True, eq=False)
class _Window:
    """K windows of W entries: ``points`` (K, W, 10), ``times`` and ``index`` (K, W), and which entries exist, bool (K, W).

    Before the first and after the last entry of the track, no entry exists; the first or the last entry is repeated there.
    """

    points: Tensor
    times: Tensor
    index: Tensor
    exists: Tensor


def _outliers(found: _Found, noise: float) -> Tensor:
    """Return a bool mask (N,) of the points that deviate from the positions that the points around them predict.

    At a sudden step, two neighboring frames deviate equally. A false detection deviates more than both of its neighbors, and lies
    farther from their connecting line than they lie from each other.
    """
    points, times = found.points, found.times
    is_outlier = torch.zeros(len(points), dtype=torch.bool)
    detour = torch.zeros(len(points), dtype=points.dtype)
    detour[1:-1] = _deviation(points, times, [0, 2])
    deviation = detour.clone()
    if len(points) >= 5:
        deviation[2:-2] = _deviation(points, times, [0, 1, 3, 4])
    here, neighbors = deviation[1:-1], torch.maximum(deviation[:-2], deviation[2:])
    is_turning_back = detour[1:-1] > _rms(points[2:] - points[:-2])
    is_outlier[1:-1] = (here > _OUTLIER * noise) & (here > _OUTLIER_RATIO * neighbors) & is_turning_back
    return is_outlier


def _deviation(points: Tensor, times: Tensor, others: list[int]) -> Tensor:
    """Return the RMS distance of the middle point of each window from the polynomial through the points ``others`` of the window.

    ``others`` are indices in the window, up to the index of its last point. The result is (N - W + 1,) for windows of W points.
    """
    width = others[-1] + 1
    near, when = points.unfold(0, width, 1), times.unfold(0, width, 1)  # (K, 10, W) and (K, W)
    elapsed = when[:, others] - when[:, width // 2, None]
    # Lagrange's weights: the product over all other points m of t_m / (t_m - t_j).
    factors = elapsed[:, None] / (elapsed[:, None] - elapsed[:, :, None])
    weights = factors.masked_fill(torch.eye(len(others), dtype=torch.bool), 1).prod(2)
    return _rms(near[..., width // 2] - (near[..., others] * weights[:, None]).sum(2))


def _smooth(found: _Found, counts: Tensor, noise: float, centers: Tensor) -> Tensor:
    """Return the smooth positions (K, 10) of the entries ``centers`` (K,). Only entries with True in ``counts`` (N,) have weight.

    Each entry uses the widest window in which its motion is linear. ``noise`` is a standard deviation in pixels.
    """
    position, velocity = _pilot(found, centers)
    measured, result = found.points[centers], found.points[centers]
    for width in _WIDTHS:
        near = found.around(centers, math.ceil(_RADIUS_IN_WIDTHS * width))
        elapsed = near.times - found.times[centers, None]
        residual = _rms(near.points - position[:, None] - velocity[:, None] * elapsed[..., None])
        agreement = (1 - (residual / (_REJECTED * noise)).square()).clamp(min=0).square()
        weights = torch.exp(-0.5 * (elapsed / width).square()) * agreement * (near.exists & counts[near.index])
        position, velocity = _fit_lines(near.points, elapsed, weights, (position, velocity))
        least, most = (limit * noise for limit in _TRUST_LIMITS)
        trust = ((most - _rms(position - measured)) / (most - least)).clamp(0, 1)
        result = torch.lerp(result, position, trust.where(counts[centers], 1)[:, None])
    return result


def _pilot(found: _Found, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Return position and velocity (K, 10) of the entries ``centers`` on lines fitted by repeated medians (Siegel, 1982).

    A fit ignores up to three outliers among its seven points. The window moves inwards at the ends of the track, and is smaller if
    the track has fewer points.
    """
    radius = min(_PILOT_RADIUS, (len(found.points) - 1) // 2)
    near = found.around(centers.clamp(radius, len(found.points) - 1 - radius), radius)
    times = near.times - found.times[centers, None]  # (K, W)
    run = times[:, :, None] - times[:, None]  # (K, W, W)
    rise = near.points[:, :, None] - near.points[:, None]  # (K, W, W, 10)
    slopes = (rise / run[..., None]).nan_to_num(nan=math.inf)
    # The diagonal is sorted to the end: the median of W - 1 slopes is the mean of the two in the middle.
    width = times.shape[1]
    ordered = slopes.masked_fill(torch.eye(width, dtype=torch.bool)[..., None], math.inf).sort(dim=2).values
    middle = (width - 1) // 2
    velocity = (ordered[:, :, middle - 1 : middle + 1].mean(2)).median(dim=1).values
    position = (near.points - velocity[:, None] * times[..., None]).median(dim=1).values
    return position, velocity


def _fit_lines(
    near: Tensor, elapsed: Tensor, weights: Tensor, otherwise: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Return position and velocity (K, 10) at ``elapsed`` 0 of weighted least squares lines through ``near`` (K, W, 10).

    Where too few points have weight for a line, the result is ``otherwise``.
    """
    weight, times = weights[..., None], elapsed[..., None]
    total, first, second = ((weight * times**power).sum(1) for power in range(3))
    value, moment = (weight * near).sum(1), (weight * near * times).sum(1)
    determinant = total * second - first * first
    is_line = determinant > 1e-6 * total * total
    safe = determinant.where(is_line, 1)
    position = ((second * value - first * moment) / safe).where(is_line, otherwise[0])
    velocity = ((total * moment - first * value) / safe).where(is_line, otherwise[1])
    return position, velocity


def _rms(vectors: Tensor) -> Tensor:
    return vectors.square().mean(-1).sqrt()
