"""Raise the contrast of dark and pale images, so that faces are found in them."""

from __future__ import annotations

import torch
from torch import Tensor

ENOUGH_CONTRAST = 0.5  # images with a larger span between their quantiles need no copy
DARKEST, BRIGHTEST = 0.01, 0.99  # quantiles of the values that become 0 and 1
MAX_GAIN = 32.0  # keeps the noise of a black image, one level of 255, below an eighth of the range
SAMPLES_PER_SIDE = 128


def dim_images(images: Tensor) -> list[int]:
    """Return which of ``images`` (B, 3, H, W), RGB in [0, 1], are dark or pale: their quantiles are less than 0.5 apart.

    Images of a single color are excluded.
    """
    low, high = _quantiles(images)
    return torch.nonzero((low < high) & (high - low < ENOUGH_CONTRAST))[:, 0].tolist()


def stretched(images: Tensor) -> Tensor:
    """Return float32 copies of ``images`` (B, 3, H, W) whose 1 % and 99 % quantiles are 0 and 1, at a gain of at most 32."""
    low, high = (level.view(-1, 1, 1, 1) for level in _quantiles(images))
    return ((images.float() - low) / (high - low).clamp(min=1 / MAX_GAIN)).clamp(0, 1)


def _quantiles(images: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = (max(side // SAMPLES_PER_SIDE, 1) for side in images.shape[-2:])
    samples = images[..., ::rows, ::columns].float().clamp(0, 1).flatten(1)
    low, high = torch.quantile(samples, samples.new_tensor([DARKEST, BRIGHTEST]), dim=1)
    return low, high
