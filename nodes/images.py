"""Convert between ComfyUI's IMAGE (B, H, W, C) and MASK (B, H, W) and the library's tensors (B, C, H, W)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..psfr_core.checks import check_finite, check_float, check_real, check_shape
from ..psfr_core.errors import InputError
from ..psfr_core.images.channels import to_rgb
from .notes import Note, add_note


def check_image(image: Tensor, name: str) -> None:
    """Raise InputError unless ``image`` is an IMAGE of finite floats, of any range, with 1 to 4 channels."""
    check_shape(image, "B H W C", name)
    if image.shape[-1] > 4:
        raise InputError(
            f"{name} must have 1 to 4 channels, got {image.shape[-1]}. It may be a latent. Connect an image."
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
    """View an IMAGE as frames (B, C, H, W) of the same dtype."""
    return image.movedim(-1, 1)


def to_rgb_batch(image: Tensor) -> Tensor:
    """Convert an IMAGE to RGB frames (B, 3, H, W), float32. Gray is repeated, and alpha is dropped."""
    return torch.stack([to_rgb(frame) for frame in to_frames(image)])


def to_crops(image: Tensor) -> Tensor:
    """Convert an IMAGE of aligned faces to RGB crops (N, 3, S, S). Raise InputError if the images are not square."""
    height, width = to_frames(image).shape[2:]
    if height != width:
        raise InputError(f"Crops must be square, got {width} x {height}: connect the crops of Align Faces.")
    return to_rgb_batch(image)


def to_image(frames: Tensor | Sequence[Tensor]) -> Tensor:
    """Convert frames (B, C, H, W) of one size to an IMAGE of the same dtype and device."""
    return torch.stack([frame.movedim(0, -1) for frame in frames])


def blank_image(frames: Tensor, channels: int = 3) -> Tensor:
    """Return an uninitialized float32 IMAGE (B, H, W, ``channels``) on the device of ``frames`` (B, C, H, W)."""
    return frames.new_empty((len(frames), *frames.shape[2:], channels), dtype=torch.float32)


def to_mask(masks: Sequence[Tensor] | Tensor) -> Tensor:
    """Convert masks (1, H, W), one per frame, to a MASK."""
    return torch.cat(list(masks))


def masks_of_frames(mask: Tensor | None, count: int) -> list[Tensor | None]:
    """Expand the MASK that restricts the search for faces to one mask (H, W) for each of ``count`` frames.

    Return None for each frame if the MASK is None or unpainted, and add a note if it is unpainted. Load Image returns an
    unpainted MASK (0 everywhere) for images without transparent or painted pixels. Raise InputError unless the MASK contains 1 or
    ``count`` masks.
    """
    if mask is None:
        return [None] * count
    masks = expanded_mask(mask, count)
    if not bool(mask.any()):
        add_note(Note.UNPAINTED_MASK)
        return [None] * count
    return list(masks)


def expanded_mask(mask: Tensor, count: int) -> Tensor:
    """Expand a MASK to ``count`` masks (count, H, W), float32. Raise InputError unless it contains 1 or ``count`` masks."""
    masks = mask.reshape(-1, *mask.shape[-2:])  # Some packs return masks as (B, 1, H, W).
    if len(masks) not in (1, count):
        raise InputError(f"There are {len(masks)} masks where {count} are needed. Give one for all, or one per image.")
    return masks.float().expand(count, -1, -1)
