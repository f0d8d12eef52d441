"""Restoration of aligned faces."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checks import check_float, check_shape
from ..errors import InputError, OptionError
from ..networks.psfr_generator import PsfrGenerator
from ..parsing.parse_map import ParseMap

Progress = Callable[[int, int], None]  # done, of how many


@torch.no_grad()
def enhance_faces(
    crops: Tensor,
    parse_map: ParseMap,
    generator: PsfrGenerator,
    *,
    strength: float = 1.0,
    batch_size: int = 4,
    progress: Progress | None = None,
) -> Tensor:
    """Restored faces (B, 3, S, S) in [0, 1], float32, from aligned ``crops`` (B, 3, S, S), RGB in [0, 1], and their parse map.

    Crops and map of another size than the generator's are resized, and the result comes back in the size of the crops.
    ``strength`` blends from the crops at 0, returned bit for bit, to the restored faces at 1. ``progress`` is called with the
    number of faces done after each batch, and may raise to stop. Source: paper, section 3.1.
    """
    _check_inputs(crops, parse_map, strength, batch_size)
    if strength == 0:
        return crops
    restored: list[Tensor] = []
    for start in range(0, len(crops), batch_size):
        batch = slice(start, start + batch_size)
        restored.append(_enhance_batch(crops[batch], parse_map[batch], generator))
        if progress is not None:
            progress(min(start + batch_size, len(crops)), len(crops))
    return torch.lerp(crops.float(), torch.cat(restored), strength)


def _enhance_batch(crops: Tensor, parse_map: ParseMap, generator: PsfrGenerator) -> Tensor:
    size, weight = generator.config.size, generator.const_input
    lq = _resized(crops.float().clamp(0, 1), size) * 2 - 1
    one_hot = F.interpolate(parse_map.one_hot.to(weight), (size, size), mode="nearest-exact")
    restored = generator(lq.to(weight), one_hot).float().to(crops.device)
    return _resized((restored.clamp(-1, 1) + 1) / 2, crops.shape[-1])


def _resized(images: Tensor, side: int) -> Tensor:
    if images.shape[-1] == side:
        return images
    resized = F.interpolate(images, (side, side), mode="bicubic", align_corners=False, antialias=True)
    return resized.clamp(0, 1)


def _check_inputs(crops: Tensor, parse_map: ParseMap, strength: float, batch_size: int) -> None:
    check_shape(crops, "B 3 S S", "crops")
    check_float(crops, "crops")
    if crops.shape[2] != crops.shape[3]:
        raise InputError(f"crops must be square, got {crops.shape[3]} x {crops.shape[2]}. Align the faces first.")
    if len(parse_map) != len(crops):
        raise InputError(f"There are {len(crops)} crops but {len(parse_map)} parse maps: each face needs its own.")
    if not 0.0 <= strength <= 1.0:
        raise OptionError(f"strength must be between 0 and 1, got {strength}.")
    if batch_size < 1:
        raise OptionError(f"batch_size must be at least 1, got {batch_size}.")
