"""Measure the sharpness and the noise of a photo at the scale of a pixel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from ..images.filters import gaussian_blur
from ..images.resize import resize_within

_WINDOW = 2.0  # standard deviation in pixels of the windows in which noise is measured
_SMOOTH_QUANTILE = 0.05  # in almost all photos of faces, at least this fraction of the windows has no texture
# For white noise with a standard deviation of 1, this is the quantile _SMOOTH_QUANTILE of the local mean absolute structure.
_WHITE_NOISE_STRUCTURE = 3.42


def at_restored_size(results: Tensor, photos: Tensor, sizes: Sequence[int] | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each result and its photo (1, 3, s, s), reduced to the side at which the face was restored.

    ``results`` and ``photos`` are (N, 3, S, S). ``sizes`` are these sides in pixels; None stands for S. Enlarged faces have no
    structure at the scale of a pixel, so ``fine_correlation`` and ``noise_level`` need the reduced ones.
    """
    for index, size in enumerate([results.shape[-1]] * len(results) if sizes is None else sizes):
        yield resize_within(results[index : index + 1], size), resize_within(photos[index : index + 1], size)


def fine_correlation(results: Tensor, photos: Tensor) -> Tensor:
    """Return the correlation (N,) of the finest structure of ``photos`` and their restored ``results``, both (N, 3, S, S).

    Restored faces are sharp, so blur or enlargement of the photo destroys the correlation at the highest frequencies. Moderate
    noise and JPEG alone do not.
    """
    result, photo = _finest_diagonals(results), _finest_diagonals(photos)
    energies = _total(result.square()) * _total(photo.square())
    return _total(result * photo) / energies.sqrt().clamp(min=1e-6)


def noise_level(photos: Tensor) -> Tensor:
    """Return the standard deviation (N,) of the noise in the channel mean of ``photos`` (N, 3, S, S), RGB in [0, 1].

    It is estimated from the finest structure in the smoothest 5 % of each photo, which contains neither hair nor wrinkles. Noise
    that was blurred or enlarged is missed.
    """
    structure = gaussian_blur(_finest_diagonals(photos).abs(), _WINDOW)
    return structure.flatten(1).quantile(_SMOOTH_QUANTILE, dim=1) / _WHITE_NOISE_STRUCTURE


def _finest_diagonals(images: Tensor) -> Tensor:
    """Return the second differences (N, 1, S - 2, S - 2) along x, then y, of the channel mean of ``images`` (N, 3, S, S)."""
    return images.mean(1, keepdim=True).diff(n=2, dim=-1).diff(n=2, dim=-2)


def _total(planes: Tensor) -> Tensor:
    return planes.sum((1, 2, 3))
