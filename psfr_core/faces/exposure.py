"""Increase the contrast of dark and pale images, so that faces in them are found."""

from __future__ import annotations

import torch
from torch import Tensor

SUFFICIENT_CONTRAST = 0.5  # images are searched twice if their quantiles differ by less than this, but are not equal
DARKEST, BRIGHTEST = 0.01, 0.99  # quantiles of the values that become 0 and 1
MAX_GAIN = 32.0  # noise of one level of 255 in a black image is amplified to an eighth of the range
SAMPLES_PER_SIDE = 128  # minimum number of sampled rows and columns, if the image has as many


def find_low_contrast(images: Tensor) -> list[int]:
    """Return the indices of dark or pale images in ``images`` (B, 3, H, W), RGB in [0, 1].

    The 1 % and 99 % quantiles of such an image differ by less than 0.5. Images with equal quantiles are excluded.
    """
    low, high = _quantiles(images)
    return torch.nonzero((low < high) & (high - low < SUFFICIENT_CONTRAST))[:, 0].tolist()


def stretch_contrast(images: Tensor) -> Tensor:
    """Return float32 copies of ``images`` (B, 3, H, W) with linearly increased contrast and values clamped to [0, 1].

    The 1 % quantile becomes 0 and the 99 % quantile becomes 1, or less if this needs a gain above 32.
    """
    low, high = (level.view(-1, 1, 1, 1) for level in _quantiles(images))
    return ((images.float() - low) / (high - low).clamp(min=1 / MAX_GAIN)).clamp(0, 1)


def _quantiles(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the 1 % and 99 % quantiles (B,) of a grid of samples, with values clamped to [0, 1]."""
    rows, columns = (max(side // SAMPLES_PER_SIDE, 1) for side in images.shape[-2:])
    samples = images[..., ::rows, ::columns].float().clamp(0, 1).flatten(1)
    low, high = torch.quantile(samples, samples.new_tensor([DARKEST, BRIGHTEST]), dim=1)
    return low, high
