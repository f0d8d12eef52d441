"""IMAGE (B, H, W, C) and MASK (B, H, W) of ComfyUI, and the library's (B, C, H, W): nothing else knows both."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..psfr_core.checks import check_finite, check_float, check_real, check_shape
from ..psfr_core.errors import InputError
from ..psfr_core.images.box import Size
from ..psfr_core.images.channels import to_rgb

_NO_MASK = Size(64, 64)  # Load Image gives a mask of zeros in this size for a picture without alpha


def check_image(image: Tensor, name: str) -> None:
    """Raise InputError unless ``image`` is an IMAGE of finite floats with 1 to 4 channels; they may exceed [0, 1]."""
    check_shape(image, "B H W C", name)
    if image.shape[-1] > 4:
        raise InputError(
            f"{name} must have 1 to 4 channels, got {image.shape[-1]}: this is something else, perhaps a latent."
        )
    check_float(image, name)
    check_finite(image, name)


def check_mask(mask: Tensor, name: str) -> None:
    """Raise InputError unless ``mask`` is a MASK (..., H, W) of finite numbers."""
    check_real(mask, name)
    if mask.ndim < 2 or 0 in mask.shape:
        raise InputError(f"{name} must have the shape (B, H, W) and no empty axis, got {tuple(mask.shape)}.")
    if mask.is_floating_point():
        check_finite(mask, name)


def to_frames(image: Tensor) -> Tensor:
    """The frames (B, C, H, W) of an IMAGE, a view of its type."""
    return image.movedim(-1, 1)


def to_rgb_batch(image: Tensor) -> Tensor:
    """The frames (B, 3, H, W) of an IMAGE, float32, with grey repeated and alpha left out."""
    return torch.stack([to_rgb(frame) for frame in to_frames(image)])


def to_crops(image: Tensor) -> Tensor:
    """Aligned faces (N, 3, S, S) of an IMAGE, as ``to_rgb_batch``; InputError when they are not square."""
    height, width = to_frames(image).shape[2:]
    if height != width:
        raise InputError(f"Crops must be square, got {width} x {height}: connect those of Align Faces.")
    return to_rgb_batch(image)


def to_image(frames: Tensor | Sequence[Tensor]) -> Tensor:
    """An IMAGE from frames (B, C, H, W) of one size, of their type and on their device."""
    return torch.stack([frame.movedim(0, -1) for frame in frames])


def blank_image(frames: Tensor, channels: int = 3) -> Tensor:
    """A float32 IMAGE for pictures of these frames, to be written one by one: no list of them is held beside it."""
    return frames.new_empty((len(frames), *frames.shape[2:], channels), dtype=torch.float32)


def to_mask(masks: Sequence[Tensor] | Tensor) -> Tensor:
    """A MASK from masks (1, H, W), one for each frame."""
    return torch.cat(list(masks))


def masks_of_frames(mask: Tensor | None, count: int) -> list[Tensor | None]:
    """Of each of ``count`` frames a mask (H, W) or None, from a MASK of one for all or one each; Load Image's "no mask" is none."""
    if mask is None or (Size.of(mask) == _NO_MASK and not bool(mask.any())):
        return [None] * count
    masks = mask.reshape(-1, *mask.shape[-2:])  # as ComfyUI takes them: some packs give (B, 1, H, W)
    if len(masks) not in (1, count):
        raise InputError(f"There are {len(masks)} masks where {count} are needed. Give one for all, or one each.")
    return list(masks.float().expand(count, -1, -1))
