"""Choose the strength of a restoration by the quality of the photo, so that sharp faces stay unchanged."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..checks import check_float, check_shape
from ..errors import InputError
from .photo_quality import at_restored_size, fine_correlation, noise_level

# The first value of each pair gives the strength 0, the second gives 1. The larger of the two strengths is used. The values were
# fitted to clean faces and their degraded versions, with both bundled generators: from about these values, LPIPS of the result is
# lower than that of the photo.
# ``psfr evaluate strength`` measures the LPIPS of photo and result for every level of degradation; see docs/evaluation.md.
_SOFT_FROM, _SOFT_FULL = 0.55, 0.45  # correlation of the finest structure of photo and result
_NOISY_FROM, _NOISY_FULL = 0.0007, 0.0012  # standard deviation of the photo's noise minus that of the result


def automatic_strength(restored: Tensor, crops: Tensor, sizes: Sequence[int] | None = None) -> Tensor:
    """Return strengths (N,), 0 to 1, that depend on the quality of ``crops``, whose restored versions are ``restored``.

    Both are (N, 3, S, S), RGB in [0, 1]. ``sizes`` are the sides in pixels at which the faces were restored; None stands for S.
    The strength is 1 for soft or noisy faces. It is 0 for sharp faces without removable noise, because a generator would only
    soften them. The strength decreases with the correlation of the finest structure of crop and result, and increases with the
    noise that the result lacks. Raises InputError for shapes that differ.
    """
    check_shape(restored, "N 3 S S", "restored")
    check_float(restored, "restored")
    if restored.shape != crops.shape:
        raise InputError(f"restored {tuple(restored.shape)} and crops {tuple(crops.shape)} must have the same shape.")
    results, photos = restored.float(), crops.to(restored.device, torch.float32).clamp(0, 1)
    strengths = results.new_zeros(len(results))
    for index, (result, photo) in enumerate(at_restored_size(results, photos, sizes)):
        soft = _linear_step(fine_correlation(result, photo), _SOFT_FROM, _SOFT_FULL)
        noisy = _linear_step(noise_level(photo) - noise_level(result), _NOISY_FROM, _NOISY_FULL)
        strengths[index] = torch.maximum(soft, noisy)[0]
    return strengths


def _linear_step(measure: Tensor, start: float, full: float) -> Tensor:
    """Map ``measure`` linearly, such that ``start`` becomes 0 and ``full`` becomes 1, and clamp the result to [0, 1]."""
    return ((measure - start) / (full - start)).clamp(0, 1)
