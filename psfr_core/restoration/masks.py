"""Make soft masks of the parts of crops that are pasted back into the image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_type
from ..errors import InputError
from ..faces.template import check_crop_size
from ..images.filters import gaussian_blur
from ..images.resize import resize
from ..parsing.labels import FaceRegion
from ..parsing.parse_map import ParseMap
from .paste_options import PasteOptions
from .region_strengths import RegionStrengths

_SIGMAS_IN_FEATHER = 3  # feather divided by the standard deviation of the blur
_MAX_INVISIBLE = 1e-3  # maximum difference between mask values that is invisible in the image

# Parts that may be smaller than the soft edge. Left and right are separate, because their sizes differ in turned heads.
_SMALL_PARTS = (
    {FaceRegion.LEFT_EYE},
    {FaceRegion.RIGHT_EYE},
    {FaceRegion.LEFT_BROW},
    {FaceRegion.RIGHT_BROW},
    {FaceRegion.NOSE},
    {FaceRegion.MOUTH, FaceRegion.UPPER_LIP, FaceRegion.LOWER_LIP},
    {FaceRegion.LEFT_EAR},
    {FaceRegion.RIGHT_EAR},
    {FaceRegion.GLASSES},
    {FaceRegion.EARRING},
)
_MIN_PEAK = 0.15  # blurred parts with a lower peak are stray pixels, and do not reach their full strength


def crop_masks(crop_size: int, options: PasteOptions, parse_map: ParseMap | None) -> Tensor:
    """Return the paste masks (N, 1, ``crop_size``, ``crop_size``), float32 in [0, 1], of crops with N parse maps.

    A mask is the product of the blurred strengths of ``options.regions`` and a soft rectangle, which rises from 0 at the crop's
    outer pixels to 1 over ``options.feather``. Parts of the face that are smaller than the soft edge reach their strength in the
    middle. If ``options.regions`` is None and all strengths are 1, a mask is the rectangle. Without a parse map, a single rectangle
    on the CPU is returned, whatever the regions. Otherwise, the masks are on the device of the map.
    Raises InputError for strengths other than 1 without a parse map, and OptionError for a ``crop_size`` outside 1 to 8192.
    """
    check_crop_size(crop_size)
    check_type(options, PasteOptions, "options")
    check_type(parse_map, ParseMap | None, "parse_map")
    rectangle = _soft_rectangle(crop_size, options.feather)
    full_strength = options.strengths == RegionStrengths()
    if parse_map is None:
        if not full_strength:
            raise InputError("Strengths of regions need a parse map. Give a parse map, or set all strengths to 1.")
        return rectangle
    rectangle = rectangle.to(parse_map.labels.device)
    if options.regions is None and full_strength:
        return rectangle.repeat(len(parse_map.labels), 1, 1, 1)
    return snap_mask(_soft_strengths(crop_size, options, parse_map) * rectangle)


def _soft_strengths(crop_size: int, options: PasteOptions, parse_map: ParseMap) -> Tensor:
    """Return the blurred strengths (N, 1, ``crop_size``, ``crop_size``) of the pixels of N crops."""
    strengths = [options.strength_of(region) for region in FaceRegion]
    parts = _distinct_parts(strengths)
    strength = torch.tensor(strengths, device=parse_map.labels.device)[parse_map.labels.long()][:, None]
    planes = torch.cat([strength, *(parse_map.mask(part) for part in parts)], dim=1)
    planes = resize(planes, (crop_size, crop_size)).clamp(0, 1)
    soft, *masks = gaussian_blur(planes, options.feather * crop_size / _SIGMAS_IN_FEATHER).split(1, dim=1)
    for part, mask in zip(parts, masks, strict=True):
        # Blurring mixes the strength of a part with its surroundings. Add or subtract the part's blurred mask such that the middle
        # of the part gets the exact strength.
        peak, place = mask.flatten(1).max(dim=1, keepdim=True)
        missing = strengths[next(iter(part))] - soft.flatten(1).gather(1, place)
        soft = soft + mask * (missing / peak.clamp(min=_MIN_PEAK))[..., None, None]
    return soft.clamp(0, 1)


def _distinct_parts(strengths: Sequence[float]) -> list[set[FaceRegion]]:
    """Return the small parts whose strength differs from that of the skin. Parts with several strengths are split."""
    parts: list[set[FaceRegion]] = []
    for part in _SMALL_PARTS:
        for strength in {strengths[region] for region in part} - {strengths[FaceRegion.SKIN]}:
            parts.append({region for region in part if strengths[region] == strength})
    return parts


def snap_mask(mask: Tensor) -> Tensor:
    """Round the values of ``mask`` in [0, 1] that are within 0.001 of 0 or 1 to exactly 0 or 1.

    Pixels at 0 stay bit-identical, and pixels at 1 are replaced completely.
    """
    above_zero = F.threshold(mask, _MAX_INVISIBLE, 0)
    return -F.threshold(-above_zero, _MAX_INVISIBLE - 1, -1)  # thresholds take a fifth of the time of torch.where


def _soft_rectangle(size: int, feather: float) -> Tensor:
    """Return a mask (1, 1, ``size``, ``size``) that rises from 0 at the outer pixels to 1 over ``feather`` * ``size`` pixels."""
    place = torch.arange(size, dtype=torch.float32)
    to_border = torch.minimum(place, place.flip(0))
    rise = (to_border / max(feather * size, 1.0)).clamp(max=1)
    rise = rise * rise * (3 - 2 * rise)
    return snap_mask((rise[:, None] * rise)[None, None])
