"""Define the positions of the five landmarks in an FFHQ-aligned crop of a face."""

from __future__ import annotations

import torch
from torch import Tensor

from ..options import check_value

MAX_CROP_SIZE = 8192  # pixels; far larger than the input of any network, but a crop needs only 0.8 GB

_SIDE = 512
# Left eye, right eye, nose tip, left and right mouth corner in a crop of 512 px, with pixel centers at whole numbers.
_FFHQ_512 = (
    (192.98138, 239.94708),
    (318.90277, 240.1936),
    (256.63416, 314.01935),
    (201.26117, 371.41043),
    (313.08905, 371.15118),
)

FFHQ_TEMPLATE: tuple[tuple[float, float], ...] = tuple(((x + 0.5) / _SIDE, (y + 0.5) / _SIDE) for x, y in _FFHQ_512)
"""The five landmarks as x, y in fractions of the crop's side; 0 and 1 are its outer edges."""


def template_for(crop_size: int) -> Tensor:
    """Return the template (5, 2), float64, in pixels of a crop of ``crop_size``. (0, 0) is the center of the top-left pixel.

    Raises OptionError as ``check_crop_size`` does.
    """
    check_crop_size(crop_size)
    return torch.tensor(FFHQ_TEMPLATE, dtype=torch.float64, device="cpu") * crop_size - 0.5


def check_crop_size(crop_size: int) -> None:
    """Raise OptionError unless ``crop_size`` is a whole number of pixels from 1 to ``MAX_CROP_SIZE``."""
    check_value("crop_size", crop_size, int, low=1, high=MAX_CROP_SIZE)
