"""Compute with affine transforms, and fit similarity transforms to points.

Transforms are float64 CPU tensors (2, 3) that map (x, y, 1) to (x', y'). The center of the top-left pixel is the point (0, 0).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..checks import check_shape
from ..errors import InputError
from .box import Size

_MIN_DEVIATION_PX = 4e-4  # prevents rounding errors from making exact points outliers
_MIN_AGREEMENT = 1e-6  # minimum fraction of the target points' variance that the fit explains


def fit_similarity(source: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Fit a similarity (2, 3) without reflection from ``source`` (N, 2) to ``target`` (N, 2) by least squares.

    ``weights`` (N,) of the squared distances need not have a sum of 1. None gives all points the same weight. Raises InputError
    if points are not finite, if all source points coincide, or if no similarity fits.
    Source: the two-dimensional case of Umeyama, "Least-squares estimation of transformation parameters" (1991).
    """
    check_shape(source, "N 2", "source points")
    check_shape(target, f"{len(source)} 2", "target points")
    source, target = source.detach().cpu().double(), target.detach().cpu().double()
    if not (source.isfinite().all() and target.isfinite().all()):
        raise InputError("The points of a similarity fit must be finite, but some are NaN or infinite.")
    if weights is None:
        source_mean, target_mean = source.mean(0), target.mean(0)
        root = source.new_ones(1)
    else:
        normalized = (weights / weights.sum()).cpu().double()
        source_mean, target_mean = normalized @ source, normalized @ target
        root = normalized.sqrt()
    (x, y), (u, v) = (source - source_mean).T * root, (target - target_mean).T * root
    spread = float((x * x + y * y).sum())
    if spread == 0:
        raise InputError(
            f"All source points of a similarity fit lie at {source_mean.tolist()}, but at least two must differ."
        )
    # In complex numbers, the linear part maps z to (cosine + i sine) z. Both values include the scale.
    cosine, sine = float((x * u + y * v).sum()) / spread, float((x * v - y * u).sum()) / spread
    if (cosine**2 + sine**2) * spread <= _MIN_AGREEMENT * float((u * u + v * v).sum()):
        raise InputError(
            "No similarity maps the source points to the target points. Check that they are in the same order and not mirrored."
        )
    linear = torch.tensor([[cosine, -sine], [sine, cosine]], dtype=torch.float64, device="cpu")
    return torch.cat([linear, (target_mean - linear @ source_mean)[:, None]], dim=1)


def fit_similarity_robustly(source: Tensor, target: Tensor) -> Tensor:
    """Fit a similarity as ``fit_similarity`` does to the points that ``similarity_inliers`` selects.

    Outliers, such as the nose of a turned head or a misplaced eye, have no effect.
    """
    inliers = similarity_inliers(source, target)
    return fit_similarity(source[inliers], target[inliers])


def similarity_inliers(source: Tensor, target: Tensor) -> Tensor:
    """Return a bool mask (N,) of the points in ``source`` (N, 2) that agree on a similarity to ``target`` (N, 2).

    Of the similarities through all pairs of points, the one with the least median of squared distances is used (Rousseeuw, 1984).
    Points within 2.5 robust standard deviations agree on it. Two points always agree. OpenCV's ``estimateAffinePartial2D`` with
    ``LMEDS`` samples pairs at random instead. Raises InputError as ``fit_similarity`` does, also for a single point.
    """
    fit_similarity(source, target)  # checks the points
    count = len(source)
    if count < 3:
        return torch.ones(count, dtype=torch.bool)
    # In complex numbers, the similarity through two points is w1 + rotation * (z - z1).
    z, w = _complex(source), _complex(target)
    one, other = torch.combinations(torch.arange(count, device="cpu")).T
    differ = (z[one] != z[other]) & (w[one] != w[other])
    one, other = one[differ], other[differ]
    rotation = (w[other] - w[one]) / (z[other] - z[one])
    squares = (w[one, None] + rotation[:, None] * (z - z[one, None]) - w).abs().square()
    medians = squares.sort(dim=1).values[:, count // 2]
    best_median, best = medians.min(dim=0)
    # Robust standard deviation. The factors and the threshold of 2.5 are those of Rousseeuw and Leroy (1987).
    deviation = max(1.4826 * (1 + 5 / (count - 2)) * math.sqrt(float(best_median)), _MIN_DEVIATION_PX)
    return squares[best] <= (2.5 * deviation) ** 2


def _complex(points: Tensor) -> Tensor:
    return torch.view_as_complex(points.detach().cpu().double().contiguous())


def invert_affine(affine: Tensor) -> Tensor:
    """Return the inverse of ``affine`` (2, 3). Raise InputError as ``check_affine`` does."""
    check_affine(affine, "affine")
    inverse = torch.linalg.inv(affine[:, :2])
    return torch.cat([inverse, -inverse @ affine[:, 2:]], dim=1)


def compose_affines(first: Tensor, then: Tensor) -> Tensor:
    """Return the affine transform (2, 3) that applies ``first`` and then ``then``."""
    linear = then[:, :2] @ first
    return torch.cat([linear[:, :2], linear[:, 2:] + then[:, 2:]], dim=1)


def transform_points(affine: Tensor, points: Tensor) -> Tensor:
    """Transform ``points`` (N, 2) by ``affine`` (2, 3), and return float64 points on the CPU."""
    check_shape(points, "N 2", "points")
    return points.cpu().double() @ affine[:, :2].T + affine[:, 2]


def affine_scale(affine: Tensor) -> float:
    """Return the scale of ``affine`` (2, 3): the square root of the absolute determinant."""
    return math.sqrt(abs(float(affine[0, 0] * affine[1, 1] - affine[0, 1] * affine[1, 0])))


def shift_affine(x: float, y: float) -> Tensor:
    """Return the affine transform (2, 3) that moves points by ``x`` to the right and ``y`` down."""
    return torch.tensor([[1.0, 0.0, x], [0.0, 1.0, y]], dtype=torch.float64, device="cpu")


def resize_affine(before: Size, after: Size) -> Tensor:
    """Return the affine transform (2, 3) that resizes an image from size ``before`` to ``after``.

    It aligns the outer edges of both images, which lie half a pixel outside the centers of the first and last pixels.
    """
    x_scale, y_scale = after.width / before.width, after.height / before.height
    x_shift, y_shift = (x_scale - 1) / 2, (y_scale - 1) / 2
    return torch.tensor([[x_scale, 0.0, x_shift], [0.0, y_scale, y_shift]], dtype=torch.float64, device="cpu")


def check_affine(affine: Tensor, name: str) -> None:
    """Raise InputError unless ``affine`` is a float64 CPU tensor (2, 3) that can be inverted."""
    check_shape(affine, "2 3", name)
    if affine.dtype != torch.float64 or affine.device.type != "cpu":
        raise InputError(f"{name} must be a float64 tensor on the CPU, got {affine.dtype} on {affine.device}.")
    if not affine.isfinite().all() or affine_scale(affine) == 0:
        raise InputError(f"{name} must be finite and invertible, got {affine.tolist()}.")
