"""Where the five landmarks of a face lie in an FFHQ-aligned crop."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import OptionError

_SIDE = 512
# Left eye, right eye, nose tip, left and right mouth corner in a crop of 512 px, pixel centres at whole numbers.
_FFHQ_512 = (
    (192.98138, 239.94708),
    (318.90277, 240.1936),
    (256.63416, 314.01935),
    (201.26117, 371.41043),
    (313.08905, 371.15118),
)

FFHQ_TEMPLATE: tuple[tuple[float, float], ...] = tuple(((x + 0.5) / _SIDE, (y + 0.5) / _SIDE) for x, y in _FFHQ_512)
"""The five landmarks as x, y fractions of the crop's side, 0 and 1 at its outer borders."""


def template_for(crop_size: int) -> Tensor:
    """The template (5, 2), float64, in pixels of a crop of ``crop_size``, the top-left pixel's centre at (0, 0)."""
    if crop_size < 1:
        raise OptionError(f"crop_size must be at least 1 pixel, got {crop_size}.")
    return torch.tensor(FFHQ_TEMPLATE, dtype=torch.float64, device="cpu") * crop_size - 0.5
