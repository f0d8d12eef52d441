"""PSNR, the distance of two pictures pixel by pixel."""

from __future__ import annotations

from torch import Tensor

from .image_pair import check_pair, torchmetrics_image


def psnr(images: Tensor, references: Tensor) -> Tensor:
    """Peak signal-to-noise ratios (B,) in dB (higher is better, infinite for equal pictures) over all three channels.

    Both are (B, 3, H, W), RGB in [0, 1]. Raises MissingPackageError without torchmetrics.
    """
    check_pair(images, references)
    metric = torchmetrics_image().peak_signal_noise_ratio
    return metric(images, references, data_range=1.0, reduction="none", dim=(1, 2, 3))
