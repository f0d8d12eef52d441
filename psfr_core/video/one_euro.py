"""Smooth landmarks with past frames only, as a live video requires."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..checks import check_finite, check_shape

# Cutoff frequencies in cycles per frame.
_MIN_CUTOFF = 0.02  # cutoff at rest
_VELOCITY_CUTOFF = 0.03  # cutoff of the filter of the velocity
# Increase of the cutoff for each pixel per frame of speed. At constant speed, the lag is at most 1 / (2 pi _SPEED_GAIN) pixels.
_SPEED_GAIN = 0.4


class OneEuroFilter:
    """Low-pass filter of landmarks. The cutoff rises with the speed of the face: steady at rest, and fast in motion.

    Source: Casiez, Roussel and Vogel, "1 euro filter" (2012). All landmarks of a face share one cutoff, which depends on
    the speed of their center, because it is less noisy than the speed of a landmark. At constant speed, the filter lags by at most
    0.4 pixels.
    """

    def __init__(self) -> None:
        self._smooth: Tensor | None = None
        self._last: Tensor | None = None
        self._velocity = torch.zeros(2, dtype=torch.float64)

    def add(self, landmarks: Tensor) -> Tensor:
        """Add the ``landmarks`` (5, 2) of the next frame, and return their smoothed positions, float64 on the CPU.

        Raises InputError for another shape and for values that are not finite.
        """
        check_shape(landmarks, "5 2", "landmarks")
        check_finite(landmarks, "landmarks")
        points = landmarks.detach().cpu().double()
        if self._smooth is None or self._last is None:
            self._smooth = points
        else:
            step = (points - self._last).mean(0)
            self._velocity = torch.lerp(self._velocity, step, _share(_VELOCITY_CUTOFF))
            cutoff = _MIN_CUTOFF + _SPEED_GAIN * float(self._velocity.norm())
            self._smooth = torch.lerp(self._smooth, points, _share(cutoff))
        self._last = points
        return self._smooth


def smooth_causally(landmarks: Tensor) -> Tensor:
    """Return ``landmarks`` (N, 5, 2) of successive frames, smoothed by a OneEuroFilter, as float64 on the CPU.

    Raises InputError for another shape and for values that are not finite.
    """
    check_shape(landmarks, "N 5 2", "landmarks")
    one_euro = OneEuroFilter()
    return torch.stack([one_euro.add(points) for points in landmarks])


def _share(cutoff: float) -> float:
    """Return the weight of a new value in a first-order low-pass filter with this ``cutoff``."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff))
