"""Restored faces put back into their image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..alignment.align import AlignedFace
from ..checks import check_float, check_shape, is_finite
from ..described import described
from ..errors import InputError, OptionError
from ..geometry.box import PixelBox, Size
from ..geometry.similarity import compose_affines, invert_affine, resize_affine, shift_affine
from ..geometry.warp import output_box, warp_affine
from ..imaging.channels import check_channels, luma
from ..parsing.labels import FaceRegion, RegionGroup

# A hat, a neck and clothes are left as they were: they reach beyond the crop, and half of them restored would show.
PASTED_REGIONS = RegionGroup.HEAD.regions - {FaceRegion.HAT}

_Range = tuple[float, float]

_INVISIBLE = 1e-3  # difference between masks
_CLOSEST = 1e-4  # squared distance, in crop sides, below which a centre is not nearer still


@dataclass(frozen=True)
class PasteOptions:
    """What of a restored crop goes back into the image.

    ``feather`` is the width of the soft edge as a fraction of the crop's side, 0 to 0.5. ``regions`` are the parts of
    the face to paste; None pastes the whole crop but for its soft border.
    """

    feather: float = described(0.06, "width of the soft edge as a fraction of the crop's side, 0 to 0.5")
    regions: frozenset[FaceRegion] | None = PASTED_REGIONS

    def __post_init__(self) -> None:
        if not 0 <= self.feather <= 0.5:
            raise OptionError(f"feather is a fraction of the crop's side and must lie in [0, 0.5], got {self.feather}.")
        if self.regions is not None and not self.regions:
            raise OptionError("regions is empty, so nothing would be pasted. Name regions, or give None for the crop.")


@dataclass(frozen=True, eq=False)  # tensors do not compare to one bool
class PasteResult:
    """``image`` like the one given, and ``mask`` (1, H, W) float32 in [0, 1]: how much of each pixel was replaced."""

    image: Tensor
    mask: Tensor


def snap_mask(mask: Tensor) -> Tensor:
    """``mask`` in [0, 1], with all that no eye can tell from 0 or 1 made exactly that.

    So pixels stay untouched where nothing is to be pasted, and where all is, nothing of what was there shines through.
    """
    return mask.where(mask > _INVISIBLE, 0).where(mask < 1 - _INVISIBLE, 1)


@torch.no_grad()
def paste_faces(
    image: Tensor, aligned: Sequence[AlignedFace], restored: Tensor, masks: Tensor, *, out: Tensor | None = None
) -> PasteResult:
    """A copy of ``image`` (C, H, W) with ``restored`` (N, 3, S, S) put through ``masks`` where ``aligned`` faces were.

    ``image`` is grey, grey and alpha, RGB, or RGB and alpha, of any float type, and may exceed [0, 1]; alpha is kept,
    grey takes the luma of the faces. ``masks`` is (N, 1, S, S) or, one for all, (1, 1, S, S), in [0, 1]; S may differ
    from the aligned crops'. Computed in float32. Where the result's mask is 0 the image is the same bit for bit.
    Where faces overlap, the mask is the largest one and each colour counts by its mask over the fourth power of the
    distance to its crop's centre, so the order of the faces does not matter. The result is put into ``out``, a tensor
    like the image, when it is given: if that is the image itself, which then is overwritten, time follows the faces'
    areas alone. Raises InputError for shapes that do not fit each other.
    """
    _check_inputs(image, aligned, restored, masks)
    pasted = image.clone() if out is None else _filled(out, image)
    mask = _untouched_mask(image)
    layers = _layers(image, aligned, restored.to(image.device), masks.to(image.device)) if aligned else []
    # All are computed before the first is written: where faces overlap, each must see the image as it was.
    blended = [_blend(layer, image, [other for other in layers if other is not layer]) for layer in layers]
    for layer, (colour, amount) in zip(layers, blended, strict=True):
        layer.box.cut(pasted)[: len(colour)].copy_(colour)
        layer.box.cut(mask).copy_(torch.maximum(layer.box.cut(mask), amount))
    return PasteResult(pasted, mask)


def _blend(layer: _Layer, image: Tensor, others: Sequence[_Layer]) -> tuple[Tensor, Tensor]:
    """Colour (1 or 3, h, w), of the image's type, and mask (1, h, w) of the layer's rectangle of the pasted image."""
    colour, amount = _mix(layer, others)
    before = layer.box.cut(image)[: len(colour)]
    # where nothing of the image is left, an infinite pixel must not leave its trace
    after = torch.lerp(before.float(), colour, amount).where(amount < 1, colour).to(image.dtype)
    return after.where(amount > 0, before), amount


def _filled(out: Tensor, image: Tensor) -> Tensor:
    if out is image:
        return out
    if out.shape != image.shape or out.dtype != image.dtype or out.device != image.device:
        raise InputError(
            f"out must be like the image, {tuple(image.shape)} {image.dtype} on {image.device}, "
            f"got {tuple(out.shape)} {out.dtype} on {out.device}."
        )
    return out.copy_(image)


def _untouched_mask(image: Tensor) -> Tensor:
    size = (1, *image.shape[-2:])
    if (
        image.device.type == "cpu"
    ):  # the system hands out NumPy's zeros when they are touched, which most of them never are
        return torch.from_numpy(np.zeros(size, np.float32))
    return torch.zeros(size, device=image.device)


@dataclass(frozen=True, eq=False)
class _Layer:
    """One restored face inside its rectangle of the image: colour (1 or 3, h, w) and mask (1, h, w).

    ``distance_squared`` (1, h, w) is that from the crop's centre, in its sides.
    """

    box: PixelBox
    colour: Tensor
    mask: Tensor
    distance_squared: Tensor

    @property
    def weight(self) -> Tensor:
        """How much the colour counts beside that of another face (1, h, w)."""
        return self.mask / (self.distance_squared + _CLOSEST).square()


def _layers(image: Tensor, aligned: Sequence[AlignedFace], restored: Tensor, masks: Tensor) -> list[_Layer]:
    # A fixed order, so that rounding does not depend on the order of the faces either.
    order = sorted(range(len(aligned)), key=lambda index: aligned[index].image_to_crop.flatten().tolist())
    colours, amounts = _ranges(restored), _ranges(masks)
    if len(masks) == 1:
        masks, amounts = masks.expand(len(aligned), -1, -1, -1), amounts * len(aligned)
    layers = (
        _layer(image, aligned[index], restored[index], masks[index], colours[index], amounts[index]) for index in order
    )
    return [layer for layer in layers if layer is not None]


def _ranges(batch: Tensor) -> list[_Range]:
    """The least and the greatest value of each of a batch."""
    extremes = torch.stack(
        [torch.stack(one.aminmax()) for one in batch]
    )  # aminmax along an axis takes ten times as long
    return [(least, most) for least, most in extremes.tolist()]


def _layer(
    image: Tensor, face: AlignedFace, restored: Tensor, mask: Tensor, colours: _Range, amounts: _Range
) -> _Layer | None:
    size = Size.of(restored)
    image_to_restored = compose_affines(face.image_to_crop, resize_affine(Size.of(face.crop), size))
    restored_to_image = invert_affine(image_to_restored)
    box = output_box(restored_to_image, size).to_pixels(Size.of(image))
    if box.is_empty:
        return None
    colour = luma(restored.float()) if len(image) < 3 else restored
    to_box = compose_affines(restored_to_image, shift_affine(-box.left, -box.top))
    warped = warp_affine(torch.cat([colour.float(), mask.float()]), to_box, box.size)
    reach, distance_squared = _place_in_crop(image_to_restored, size, box, image.device)
    # Interpolation overshoots at sharp edges; nothing may count for more, nor get brighter or darker, than was given.
    amount = snap_mask(warped[-1:].clamp_(*amounts)).where(reach <= 0.5, 0)
    colour = warped[:-1].clamp_(*colours)
    return _Layer(box, colour, amount, distance_squared)


def _place_in_crop(image_to_crop: Tensor, size: Size, box: PixelBox, device: torch.device) -> tuple[Tensor, Tensor]:
    """How far each pixel of ``box`` lies from the crop's centre, in crop sides: along the farther axis, and squared.

    The first is at most 0.5 inside the crop.
    """
    to_sides = compose_affines(image_to_crop, resize_affine(size, Size(1, 1)))
    (xx, xy, x0), (yx, yy, y0) = to_sides.tolist()
    across = torch.arange(box.left, box.right, dtype=torch.float32, device=device)
    down = torch.arange(box.top, box.bottom, dtype=torch.float32, device=device)[:, None]
    x, y = across * xx + (down * xy + x0), across * yx + (down * yy + y0)
    return torch.maximum(x.abs(), y.abs())[None], (x * x + y * y)[None]


def _mix(layer: _Layer, others: Sequence[_Layer]) -> tuple[Tensor, Tensor]:
    """Colour (1 or 3, h, w) and mask (1, h, w) of ``layer``'s rectangle with all other layers that reach into it."""
    overlaps = [(other, box) for other in others if not (box := _intersection(layer.box, other.box)).is_empty]
    if not overlaps:
        return layer.colour, layer.mask
    weight, mask = layer.weight, layer.mask.clone()
    total = layer.colour * weight
    for other, box in overlaps:
        here, there = _inside(box, layer.box), _inside(box, other.box)
        its_weight = there.cut(other.weight)
        here.cut(total).add_(there.cut(other.colour) * its_weight)
        here.cut(weight).add_(its_weight)
        here.cut(mask).copy_(torch.maximum(here.cut(mask), there.cut(other.mask)))
    return total / weight.where(weight > 0, 1), mask


def _intersection(one: PixelBox, other: PixelBox) -> PixelBox:
    left, top = max(one.left, other.left), max(one.top, other.top)
    return PixelBox(left, top, min(one.right, other.right), min(one.bottom, other.bottom))


def _inside(box: PixelBox, frame: PixelBox) -> PixelBox:
    """``box`` counted from the top left of ``frame``."""
    return PixelBox(box.left - frame.left, box.top - frame.top, box.right - frame.left, box.bottom - frame.top)


def _check_inputs(image: Tensor, aligned: Sequence[AlignedFace], restored: Tensor, masks: Tensor) -> None:
    check_channels(image)
    if len(restored) != len(aligned):
        raise InputError(f"restored holds {len(restored)} faces, but there are {len(aligned)} aligned ones.")
    if not aligned:
        return
    check_shape(restored, "N 3 S S", "restored")
    check_float(restored, "restored")
    side = restored.shape[-1]
    check_shape(restored, f"N 3 {side} {side}", "restored")
    check_shape(masks, f"N 1 {side} {side}", "masks")
    check_float(masks, "masks")
    if not is_finite(restored):
        raise InputError("restored holds NaN or infinite values. The step before this one has failed.")
    if len(masks) not in (1, len(aligned)):
        raise InputError(f"masks holds {len(masks)} masks for {len(aligned)} faces: give one each, or one for all.")
