"""Paste restored faces back into their image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..checks import check_float, check_shape, check_tensor, check_type, is_finite
from ..errors import InputError
from ..faces.align import AlignedFace
from ..images.box import PixelBox, Size
from ..images.channels import check_channels, luma
from ..images.similarity import compose_affines, invert_affine, resize_affine, shift_affine
from ..images.warp import output_box, warp_affine
from .masks import snap_mask

_EPSILON = 1e-4  # in squared crop sides; prevents division by zero at the crop center


@dataclass(frozen=True, eq=False)  # comparing tensors does not yield a single bool
class PasteResult:
    """Result of ``paste_faces``.

    ``image`` has the shape and dtype of the input image. ``mask`` (1, H, W), float32, is the blend weight of each pixel, 0 to 1.
    """

    image: Tensor
    mask: Tensor


@torch.no_grad()
def paste_faces(
    image: Tensor, aligned: Sequence[AlignedFace], restored: Tensor, masks: Tensor, *, out: Tensor | None = None
) -> PasteResult:
    """Paste ``restored`` (N, 3, S, S) through ``masks`` into a copy of ``image`` (C, H, W), at the ``aligned`` faces.

    ``image`` is gray, gray with alpha, RGB, or RGB with alpha, of any float dtype, and may exceed [0, 1]. Alpha and colors hidden
    by an alpha of 0 are kept. A gray image receives the luma of the faces. ``masks`` is (N, 1, S, S), or (1, 1, S, S) for all
    faces, in [0, 1]. S may differ from the side of the aligned crops. The computation uses float32. Pixels where the result's mask
    is 0 stay bit-identical. Where faces overlap, the mask is the maximum, and colors are averaged with the weight
    mask / distance^4, where the distance is measured to the crop center. Therefore, the order of the faces has no effect. If
    ``out``, a tensor like the image, is given, the result is written to it. ``out`` may be the image itself.
    Raises InputError for shapes and dtypes that do not match, for restored faces or masks that are not finite, and for an ``out``
    whose shape, dtype or device differs from the image's.
    """
    _check_inputs(image, aligned, restored, masks)
    patches = _patches(image, aligned, restored.to(image.device), masks.to(image.device)) if aligned else []
    pasted = image.clone() if out is None else _filled(out, image)
    mask = _untouched_mask(image)
    for group in _overlapping(patches):
        layers = [_layer(patch, image) for patch in group]
        # Compute all layers before the first write, because overlapping faces are blended with the original image.
        blended = [_blend(layer, image, [other for other in layers if other is not layer]) for layer in layers]
        for layer, (color, amount) in zip(layers, blended, strict=True):
            layer.box.cut(pasted)[: len(color)].copy_(color)
            layer.box.cut(mask).copy_(torch.maximum(layer.box.cut(mask), amount))
    return PasteResult(pasted, mask)


def _blend(layer: _Layer, image: Tensor, others: Sequence[_Layer]) -> tuple[Tensor, Tensor]:
    """Return the pasted color (1 or 3, h, w), in the dtype of the image, and the mask (1, h, w) of the layer's rectangle."""
    color, amount = _mix(layer, others)
    before = layer.box.cut(image)[: len(color)]
    # An infinite pixel must not affect the result where the mask is 1.
    after = torch.lerp(before.float(), color, amount).where(amount < 1, color).to(image.dtype)
    return after.where(amount > 0, before), amount


def _filled(out: Tensor, image: Tensor) -> Tensor:
    """Copy ``image`` (C, H, W) to ``out`` unless ``out`` is the image, and return ``out``."""
    if out is image:
        return out
    check_tensor(out, "out")
    if out.shape != image.shape or out.dtype != image.dtype or out.device != image.device:
        raise InputError(
            f"out must be like the image, {tuple(image.shape)} {image.dtype} on {image.device}, "
            f"got {tuple(out.shape)} {out.dtype} on {out.device}."
        )
    return out.copy_(image)


def _untouched_mask(image: Tensor) -> Tensor:
    """Return zeros (1, H, W), float32, on the device of ``image`` (C, H, W)."""
    size = (1, *image.shape[-2:])
    if image.device.type == "cpu":  # NumPy allocates the memory of zeros on access, and most pixels are never accessed
        return torch.from_numpy(np.zeros(size, np.float32))
    return torch.zeros(size, device=image.device)


@dataclass(frozen=True, eq=False)
class _Layer:
    """One restored face, warped to the rectangle ``box`` of the image, as color (1 or 3, h, w) and mask (1, h, w).

    ``x`` and ``y`` (h, w) are the offsets of the pixels from the center of the crop, in crop sides.
    """

    box: PixelBox
    color: Tensor
    mask: Tensor
    x: Tensor
    y: Tensor

    @property
    def weight(self) -> Tensor:
        """Weight (1, h, w) of the color relative to the colors of overlapping faces."""
        return self.mask / (self.x.square() + self.y.square() + _EPSILON).square()


@dataclass(frozen=True, eq=False)
class _Bounded:
    """Values (C, S, S) with their minimum and maximum."""

    values: Tensor
    low: float
    high: float

    def limit(self, interpolated: Tensor) -> Tensor:
        """Clamp ``interpolated`` in place to the range of the values. Interpolation overshoots at sharp edges."""
        return interpolated.clamp_(self.low, self.high)


@dataclass(frozen=True, eq=False)
class _Patch:
    """One restored face (3, S, S) with its mask (1, S, S).

    ``box`` is the bounding box of the face's crop in the image. ``image_to_restored`` (2, 3) maps pixels of the image to pixels of
    ``restored``.
    """

    box: PixelBox
    image_to_restored: Tensor
    restored: _Bounded
    mask: _Bounded

    @classmethod
    def of(cls, face: AlignedFace, restored: _Bounded, mask: _Bounded, image_size: Size) -> _Patch:
        """Return the patch that replaces ``face`` in an image of ``image_size``. The box of the patch may be empty."""
        size = Size.of(restored.values)
        image_to_restored = compose_affines(face.image_to_crop, resize_affine(Size.of(face.crop), size))
        box = output_box(invert_affine(image_to_restored), size).to_pixels(image_size)
        return cls(box, image_to_restored, restored, mask)


def _patches(image: Tensor, aligned: Sequence[AlignedFace], restored: Tensor, masks: Tensor) -> list[_Patch]:
    """Return the patches inside the image in a canonical order, so that rounding does not depend on the given order."""
    bounded_masks = _bounded(masks, "masks")
    if len(bounded_masks) == 1:
        bounded_masks *= len(aligned)
    faces = zip(aligned, _bounded(restored, "restored"), bounded_masks, strict=True)
    patches = [_Patch.of(face, color, mask, Size.of(image)) for face, color, mask in faces]
    return sorted(
        (patch for patch in patches if not patch.box.is_empty),
        key=lambda patch: patch.image_to_restored.flatten().tolist(),
    )


def _overlapping(patches: Sequence[_Patch]) -> list[list[_Patch]]:
    """Group patches with overlapping rectangles, such that different groups share no pixels."""
    groups: list[list[_Patch]] = []
    for patch in patches:
        apart = [group for group in groups if all(patch.box.intersection(other.box).is_empty for other in group)]
        joined = [other for group in groups if group not in apart for other in group]
        groups = [*apart, [*joined, patch]]
    return groups


def _bounded(batch: Tensor, name: str) -> list[_Bounded]:
    """Return each item of ``batch`` with its minimum and maximum. Raise InputError for values that are not finite."""
    # A single call of aminmax along an axis takes ten times as long.
    extremes = torch.stack([torch.stack(item.aminmax()) for item in batch])
    if not is_finite(extremes):
        raise InputError(f"{name} contains NaN or infinite values. The previous step has failed.")
    return [_Bounded(item, low, high) for item, (low, high) in zip(batch, extremes.tolist(), strict=True)]


def _layer(patch: _Patch, image: Tensor) -> _Layer:
    """Warp ``patch`` to its rectangle of ``image`` (C, H, W). The mask is 0 outside the crop and where alpha is 0."""
    restored, mask, box = patch.restored.values, patch.mask.values, patch.box
    color = luma(restored.float()) if len(image) < 3 else restored
    to_box = compose_affines(invert_affine(patch.image_to_restored), shift_affine(-box.left, -box.top))
    warped = warp_affine(torch.cat([color.float(), mask.float()]), to_box, box.size)
    x, y = _place_in_crop(patch.image_to_restored, Size.of(restored), box, image.device)
    is_outside = torch.maximum(x.abs(), y.abs()) > 0.5
    if len(image) in (2, 4):
        is_outside |= box.cut(image)[-1] <= 0
    amount = snap_mask(patch.mask.limit(warped[-1:])).masked_fill_(is_outside, 0)
    return _Layer(box, patch.restored.limit(warped[:-1]), amount, x, y)


def _place_in_crop(image_to_crop: Tensor, size: Size, box: PixelBox, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the x and y offsets (h, w) of the pixels of ``box`` from the center of the crop, in crop sides."""
    to_sides = compose_affines(image_to_crop, resize_affine(size, Size(1, 1)))
    (xx, xy, x0), (yx, yy, y0) = to_sides.tolist()
    across = torch.arange(box.left, box.right, dtype=torch.float32, device=device)
    down = torch.arange(box.top, box.bottom, dtype=torch.float32, device=device)[:, None]
    return across * xx + (down * xy + x0), across * yx + (down * yy + y0)


def _mix(layer: _Layer, others: Sequence[_Layer]) -> tuple[Tensor, Tensor]:
    """Return the color (1 or 3, h, w) and mask (1, h, w) of ``layer``, mixed with all overlapping ``others``."""
    overlaps = [(other, box) for other in others if not (box := layer.box.intersection(other.box)).is_empty]
    if not overlaps:
        return layer.color, layer.mask
    weight, mask = layer.weight, layer.mask.clone()
    total = layer.color * weight
    for other, box in overlaps:
        here, there = _relative_to(layer.box, box), _relative_to(other.box, box)
        other_weight = there.cut(other.weight)
        here.cut(total).add_(there.cut(other.color) * other_weight)
        here.cut(weight).add_(other_weight)
        here.cut(mask).copy_(torch.maximum(here.cut(mask), there.cut(other.mask)))
    return total / weight.where(weight > 0, 1), mask


def _relative_to(frame: PixelBox, box: PixelBox) -> PixelBox:
    """Return ``box`` with its coordinates relative to the top left corner of ``frame``."""
    return PixelBox(box.left - frame.left, box.top - frame.top, box.right - frame.left, box.bottom - frame.top)


def _check_inputs(image: Tensor, aligned: Sequence[AlignedFace], restored: Tensor, masks: Tensor) -> None:
    check_channels(image)
    check_tensor(restored, "restored")
    check_tensor(masks, "masks")
    check_type(aligned, Sequence, "aligned")
    for index, face in enumerate(aligned):
        check_type(face, AlignedFace, f"Aligned face {index}")
    if restored.shape[:1] != (len(aligned),):
        raise InputError(f"restored has the shape {tuple(restored.shape)}, but there are {len(aligned)} aligned faces.")
    if not aligned:
        return
    check_shape(restored, "N 3 S S", "restored")
    check_float(restored, "restored")
    side = restored.shape[-1]
    check_shape(masks, f"N 1 {side} {side}", "masks")
    check_float(masks, "masks")
    if len(masks) not in (1, len(aligned)):
        raise InputError(f"There are {len(masks)} masks for {len(aligned)} faces. Give one mask, or one for each face.")
