"""Compute PSNR, the peak signal-to-noise ratio of images."""

from __future__ import annotations

from torch import Tensor

from ...checks import check_pair
from .metric import paired_metric


def psnr(images: Tensor, references: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio (B,) over all channels in dB; higher is better, infinite for equal images.

    Images and references are (B, 3, H, W), RGB in [0, 1]. Raises InputError for other or different shapes.
    """
    check_pair(images, references)
    return -10 * (images - references).square().mean(dim=(1, 2, 3)).log10()


PSNR = paired_metric("psnr", psnr, higher_is_better=True)
