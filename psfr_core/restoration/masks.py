"""Which part of a crop goes back into the image, as soft masks in crop space."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_type
from ..faces.template import check_crop_size
from ..images.filters import gaussian_blur
from ..images.resize import resize
from ..parsing.parse_map import ParseMap
from .paste_options import PasteOptions

_SIGMAS_IN_FEATHER = 3
_INVISIBLE = 1e-3  # difference between masks


def crop_masks(crop_size: int, options: PasteOptions, parse_map: ParseMap | None) -> Tensor:
    """Return the paste masks of crops (N, 1, ``crop_size``, ``crop_size``), float32 in [0, 1], one for each parse map.

    A soft rectangle that rises from 0 at the crop's outer pixels to 1 over ``options.feather``, times the blurred mask
    of ``options.regions``. Without a parse map or regions the rectangle alone: (1, 1, S, S), or one for each parse map.
    """
    check_crop_size(crop_size)
    check_type(options, PasteOptions, "options")
    check_type(parse_map, ParseMap | None, "parse_map")
    rectangle = _soft_rectangle(crop_size, options.feather)
    if parse_map is None:
        return rectangle
    rectangle = rectangle.to(parse_map.labels.device)
    if options.regions is None:
        return rectangle.repeat(len(parse_map.labels), 1, 1, 1)
    regions = resize(parse_map.mask(options.regions), (crop_size, crop_size)).clamp(0, 1)
    soft = gaussian_blur(regions, options.feather * crop_size / _SIGMAS_IN_FEATHER) * rectangle
    return snap_mask(soft)


def snap_mask(mask: Tensor) -> Tensor:
    """Round values of ``mask`` in [0, 1] that are indistinguishable from 0 or 1 to exactly 0 or 1.

    Pixels at 0 stay bit-identical, and pixels at 1 keep nothing of the image.
    """
    above_zero = F.threshold(mask, _INVISIBLE, 0)
    return -F.threshold(-above_zero, _INVISIBLE - 1, -1)  # thresholds take a fifth of the time of torch.where


def _soft_rectangle(size: int, feather: float) -> Tensor:
    place = torch.arange(size, dtype=torch.float32)
    to_border = torch.minimum(place, place.flip(0))
    rise = (to_border / max(feather * size, 1.0)).clamp(max=1)
    rise = rise * rise * (3 - 2 * rise)
    return snap_mask((rise[:, None] * rise)[None, None])
