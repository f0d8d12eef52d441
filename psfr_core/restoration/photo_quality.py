"""Measures of the quality of a photo: its sharpness and its noise, at the scale of a pixel."""

from __future__ import annotations

from torch import Tensor

from ..images.filters import gaussian_blur

_WINDOW = 2.0  # standard deviation in pixels of the windows that noise is measured in
_SMOOTHEST = 0.05  # share of the windows that hardly any photo of a face fills with texture
# White noise of standard deviation 1 has a local mean absolute value of this at the quantile _SMOOTHEST of its finest structure.
_OF_WHITE_NOISE = 3.42


def fine_correlation(results: Tensor, photos: Tensor) -> Tensor:
    """Return the correlation (N,) of the finest structure of ``photos`` and their restored ``results``, both (N, 3, S, S).

    The result is sharp. Blur and enlargement destroy its correlation with the photo at the highest frequencies; moderate noise
    and JPEG alone do not.
    """
    result, photo = _finest_diagonals(results), _finest_diagonals(photos)
    energies = _total(result.square()) * _total(photo.square())
    return _total(result * photo) / energies.sqrt().clamp(min=1e-6)


def noise_level(photos: Tensor) -> Tensor:
    """Return the standard deviation (N,) of the noise in the mean channel of ``photos`` (N, 3, S, S), in [0, 1].

    It is estimated from the finest structure in the smoothest twentieth of each photo, where neither hair nor wrinkles are. Noise
    that was blurred or enlarged is not measured.
    """
    strength = gaussian_blur(_finest_diagonals(photos).abs(), _WINDOW)
    return strength.flatten(1).quantile(_SMOOTHEST, dim=1) / _OF_WHITE_NOISE


def _finest_diagonals(images: Tensor) -> Tensor:
    """Return the second differences along x of those along y, of the mean channel of ``images`` (N, 3, S, S)."""
    return images.mean(1, keepdim=True).diff(n=2, dim=-1).diff(n=2, dim=-2)


def _total(planes: Tensor) -> Tensor:
    return planes.sum((1, 2, 3))
