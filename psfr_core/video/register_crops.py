"""Register crops of a face with each other, because landmarks are too inaccurate to keep a face in place."""

from __future__ import annotations

import torch
from torch import Tensor

from ..images.box import Size
from ..images.similarity import compose_affines, invert_affine, shift_affine
from ..images.warp import warp_affine

_ITERATIONS = 6
_TOLERATED = 0.04  # color difference from which pixels get little weight, for example in a blink
_MAX_ERROR = 0.4  # maximum mean robust error, from 0 to 1, after registration; above it, crops stay unregistered
_DAMPING = 1e-4  # relative to the mean diagonal of the Hessian; keeps crops without structure where they are


def register_crop(moving: Tensor, fixed: Tensor) -> Tensor:
    """Return the similarity (2, 3), float64, from pixels of ``moving`` (3, K, K) to those of ``fixed`` (3, K, K).

    The crops must be blurred, and must show the face within a few pixels of the same place. Changed parts are ignored. The result
    is the identity if the registration does not reduce the error, or if the crops still differ too much.
    Source: Baker and Matthews, "Lucas-Kanade 20 years on" (2004), the inverse compositional algorithm with a robust error.
    """
    size = Size.of(fixed)
    steepest = _steepest(fixed)
    to_center = shift_affine(-(size.width - 1) / 2, -(size.height - 1) / 2)
    registration = shift_affine(0, 0)
    difference = (moving - fixed).flatten()
    before = _robust_error(difference)
    for _ in range(_ITERATIONS):
        weighted = steepest / (1 + (difference / _TOLERATED).square()).square()
        hessian, gradient = (weighted @ steepest.T).double().cpu(), (weighted @ difference).double().cpu()
        damping = _DAMPING * float(hessian.diagonal().mean()) + 1e-9
        scale, turn, right, down = torch.linalg.solve(hessian + damping * torch.eye(4).double(), gradient).tolist()
        step = torch.tensor([[1 + scale, -turn, right], [turn, 1 + scale, down]], dtype=torch.float64)
        step = compose_affines(compose_affines(to_center, step), invert_affine(to_center))
        registration = compose_affines(registration, step)
        difference = (warp_affine(moving, registration, size) - fixed).flatten()
    after = _robust_error(difference)
    return registration if after < min(before, _MAX_ERROR) else shift_affine(0, 0)


def _steepest(image: Tensor) -> Tensor:
    """Return the derivatives (4, 3KK) of ``image`` (3, K, K) by scale and rotation around its center, and by x and y shifts."""
    place = torch.arange(image.shape[-1], device=image.device, dtype=image.dtype)
    y, x = torch.meshgrid(place - place.mean(), place - place.mean(), indexing="ij")
    down, across = torch.gradient(image, dim=(1, 2))
    return torch.stack([across * x + down * y, down * x - across * y, across, down]).flatten(1)


def _robust_error(difference: Tensor) -> float:
    squares = (difference / _TOLERATED).square()
    return float((squares / (1 + squares)).mean())  # Geman and McClure
