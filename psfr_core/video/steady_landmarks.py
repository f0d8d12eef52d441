"""Remove the jitter of landmarks over time without delaying their motion."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..checks import check_finite, check_shape

_PILOT_RADIUS = 3  # frames
_WIDTHS = (1.5, 3.0, 6.0)  # standard deviations of the windows of successive fits, in frames
_RADIUS_IN_WIDTHS = 2.5
_REJECTED = 4.0  # residual, in standard deviations of the noise, from which a frame has no weight
# RMS distances between the smoothed and the detected landmarks, in standard deviations of the noise. In linear motion, the distance
# is about 1.0 +- 0.2. From the first limit to the second, the weight of the detected landmarks rises from 0 to 1.
_TRUST_LIMITS = (1.4, 2.0)
_OUTLIER = 7.0  # minimum distance of an outlier from the position predicted by its neighbors, in the same unit
_OUTLIER_RATIO = 1.3  # minimum ratio of its distance to that of its neighbors; 1.5 without noise
_FRAMES_AT_ONCE = 1024  # limits the memory for long tracks
_MAD_TO_DEVIATION = 1.4826  # factor from median absolute to standard deviation for a normal distribution


def smooth_landmarks(landmarks: Tensor, is_found: Tensor | None = None) -> Tensor:
    """Smooth ``landmarks`` (N, 5, 2) of successive frames by past and future frames, and return them as float64 on the CPU.

    Each frame is predicted by a line through the frames around it, fitted with weights: near frames count more, and frames that
    deviate from the motion count less, or not at all. A steady pan is followed without delay, a sudden movement is not blurred,
    and the landmarks of a single frame that deviate from those before and after are ignored. The noise is measured on the
    landmarks themselves, and the result stays within two standard deviations of them (RMS), so landmarks without noise are
    returned unchanged. ``is_found`` (N,), bool, is False for interpolated landmarks, which are ignored.
    """
    check_shape(landmarks, "N 5 2", "landmarks")
    check_finite(landmarks, "landmarks")
    points = landmarks.detach().cpu().double()
    noise = landmark_noise(points)
    if noise == 0:
        return points
    flat = points.flatten(1)
    is_outlier = _outliers(flat, noise)
    counts = ~is_outlier if is_found is None else is_found & ~is_outlier
    frames = torch.arange(len(flat)).split(_FRAMES_AT_ONCE)
    return torch.cat([_smooth(flat, counts, noise, part) for part in frames]).view_as(points)


def landmark_noise(landmarks: Tensor) -> float:
    """Return the standard deviation of the jitter in ``landmarks`` (N, 5, 2), in pixels; 0 for fewer than four frames.

    It is estimated from second differences over time of the landmarks around their center, which the motion of a head
    changes little.
    """
    if len(landmarks) < 4:
        return 0.0
    around_center = landmarks - landmarks.mean(dim=1, keepdim=True)
    curvature = around_center.diff(n=2, dim=0).abs()
    # The variance of a second difference is 6 times that of the noise, and 4 of 5 parts of it are around the center.
    return float(curvature.median()) * _MAD_TO_DEVIATION / math.sqrt(6 * 4 / 5)


def _outliers(points: Tensor, noise: float) -> Tensor:
    """Return a bool mask (N,) of the ``points`` (N, 10) far from where their neighbors predict them, if the neighbors are close.

    At a sudden step, two neighboring frames deviate equally. A false detection deviates more than both of its neighbors.
    """
    is_outlier = torch.zeros(len(points), dtype=torch.bool)
    detour = torch.zeros(len(points), dtype=points.dtype)
    detour[1:-1] = _rms(points[1:-1] - (points[:-2] + points[2:]) / 2)
    deviation = detour.clone()
    if len(points) >= 5:
        # The cubic through two points on each side.
        expected = points.unfold(0, 5, 1) @ points.new_tensor([-1.0, 4.0, 0.0, 4.0, -1.0]) / 6
        deviation[2:-2] = _rms(points[2:-2] - expected)
    here, neighbors = deviation[1:-1], torch.maximum(deviation[:-2], deviation[2:])
    is_turning_back = detour[1:-1] > _rms(points[2:] - points[:-2])
    is_outlier[1:-1] = (here > _OUTLIER * noise) & (here > _OUTLIER_RATIO * neighbors) & is_turning_back
    return is_outlier


def _smooth(points: Tensor, counts: Tensor, noise: float, frames: Tensor) -> Tensor:
    """Return the smooth positions (K, 10) at ``frames`` (K,); points of frames that do not count are ignored.

    Each frame uses the widest window in which its motion is linear.
    """
    position, velocity = _pilot(points, frames)
    measured, result = points[frames], points[frames]
    for width in _WIDTHS:
        offsets = _offsets(math.ceil(_RADIUS_IN_WIDTHS * width))
        near, is_inside = _window(points, frames, offsets)
        residual = _rms(near - position[:, None] - velocity[:, None] * offsets[:, None])
        agreement = (1 - (residual / (_REJECTED * noise)).square()).clamp(min=0).square()
        weights = torch.exp(-0.5 * (offsets / width).square()) * agreement
        weights = weights * (is_inside & counts[(frames[:, None] + offsets.long()).clamp(0, len(points) - 1)])
        position, velocity = _fit_lines(near, offsets, weights, (position, velocity))
        least, most = (limit * noise for limit in _TRUST_LIMITS)
        trust = ((most - _rms(position - measured)) / (most - least)).clamp(0, 1)
        result = torch.lerp(result, position, trust.where(counts[frames], 1)[:, None])
    return result


def _pilot(points: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
    """Return position and velocity (K, 10) at ``frames`` of lines fitted by repeated medians (Siegel, 1982).

    A fit ignores up to three outliers among its seven points. The window moves inwards at the ends of the track.
    """
    radius = min(_PILOT_RADIUS, (len(points) - 1) // 2)
    centers = frames.clamp(radius, len(points) - 1 - radius)
    offsets = _offsets(radius)
    near, _ = _window(points, centers, offsets)  # (K, W, 10)
    times = offsets + (centers - frames)[:, None]  # (K, W)
    run = offsets[:, None] - offsets  # (W, W)
    rise = near[:, :, None] - near[:, None]  # (K, W, W, 10)
    slopes = (rise / run[..., None]).nan_to_num(nan=math.inf)
    # The diagonal is sorted to the end: the median of W - 1 slopes is the mean of the two in the middle.
    ordered = slopes.masked_fill(torch.eye(len(offsets), dtype=torch.bool)[..., None], math.inf).sort(dim=2).values
    middle = (len(offsets) - 1) // 2
    velocity = (ordered[:, :, middle - 1 : middle + 1].mean(2)).median(dim=1).values
    position = (near - velocity[:, None] * times[..., None]).median(dim=1).values
    return position, velocity


def _fit_lines(
    near: Tensor, offsets: Tensor, weights: Tensor, otherwise: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Return position and velocity (K, 10) at offset 0 of weighted least squares lines through ``near`` (K, W, 10).

    Where too few points have weight for a line, the result is ``otherwise``.
    """
    weight = weights[..., None]
    total, first, second = (
        (weight * power).sum(1)
        for power in (torch.ones_like(offsets)[:, None], offsets[:, None], offsets[:, None] ** 2)
    )
    value, moment = (weight * near).sum(1), (weight * near * offsets[:, None]).sum(1)
    determinant = total * second - first * first
    is_line = determinant > 1e-6 * total * total
    safe = determinant.where(is_line, 1)
    position = ((second * value - first * moment) / safe).where(is_line, otherwise[0])
    velocity = ((total * moment - first * value) / safe).where(is_line, otherwise[1])
    return position, velocity


def _offsets(radius: int) -> Tensor:
    return torch.arange(-radius, radius + 1, dtype=torch.float64)


def _window(points: Tensor, centers: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the points (K, W, 10) around ``centers`` (K,), and whether they (K, W) lie inside the track."""
    index = centers[:, None] + offsets.long()
    inside = index.clamp(0, len(points) - 1)
    return points[inside], index == inside


def _rms(vectors: Tensor) -> Tensor:
    return vectors.square().mean(-1).sqrt()
