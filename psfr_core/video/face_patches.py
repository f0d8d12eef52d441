"""Cut faces out of a decoded frame, and paste restored ones into it, without converting the rest of the frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..faces.align import AlignedFace
from ..faces.face import Face
from ..images.box import PixelBox, Size
from ..images.channels import clamped, to_rgb
from ..images.similarity import affine_scale, compose_affines, invert_affine, shift_affine
from ..images.warp import output_box, warp_affine
from ..restoration.grain import add_grain
from ..restoration.paste import paste_faces
from .moving_frame import Planes

_FILTER_RADIUS = 3  # margin around the crop that a warp reads, in pixels of the crop or the frame, whichever are larger
_FILTER_MARGIN = 4  # additional margin, in frame pixels


def cut_face(planes: Planes, face: Face, image_to_crop: Tensor, crop_size: int) -> AlignedFace | None:
    """Return ``face`` with its aligned crop (3, S, S), S = ``crop_size``, or None if the crop lies outside the frame.

    ``image_to_crop`` (2, 3) maps pixels of the stored frame to pixels of the crop.
    """
    box = _box_in_frame(planes, image_to_crop, crop_size)
    if box.is_empty:
        return None
    colors = clamped(to_rgb(planes.read(box)))
    crop = warp_affine(colors, _from_box(image_to_crop, box), Size(crop_size, crop_size)).clamp_(0, 1)
    return AlignedFace(face, crop, image_to_crop)


def paste_into_frame(
    planes: Planes, aligned: Sequence[AlignedFace], restored: Tensor, masks: Tensor, grain: float
) -> None:
    """Paste ``restored`` (N, 3, S, S), RGB in [0, 1], through ``masks`` (N, 1, S, S) into the frame, at the ``aligned`` faces.

    ``masks`` are blend weights from 0 to 1, and ``grain`` is the option of ``PasteOptions``. Samples outside the masks stay
    bit-identical; a chroma sample is outside if all its pixels are.
    """
    restored, masks = restored.cpu(), masks.cpu()
    boxes = [_box_in_frame(planes, face.image_to_crop, restored.shape[-1]) for face in aligned]
    for group in _meeting(boxes):
        box = planes.fit(_hull([boxes[index] for index in group]))
        before = planes.read(box)
        faces = [
            AlignedFace(aligned[index].face, aligned[index].crop, _from_box(aligned[index].image_to_crop, box))
            for index in group
        ]
        chosen = torch.tensor(group)
        pasted = paste_faces(before, faces, restored[chosen], masks[chosen])
        pasted = add_grain(before, pasted, faces, grain)
        planes.write(box, before, pasted.image, pasted.mask)


def _box_in_frame(planes: Planes, image_to_crop: Tensor, crop_size: int) -> PixelBox:
    """Return the part of the frame that a warp to the crop reads; it is empty if the crop lies outside the frame."""
    box = output_box(invert_affine(image_to_crop), Size(crop_size, crop_size))
    if box.to_pixels(planes.size).is_empty:
        return PixelBox(0, 0, 0, 0)
    margin = math.ceil(_FILTER_RADIUS / min(affine_scale(image_to_crop), 1.0)) + _FILTER_MARGIN
    return planes.fit(box.to_pixels(planes.size, margin))


def _from_box(image_to_crop: Tensor, box: PixelBox) -> Tensor:
    """Return the transform (2, 3) from pixels of ``box`` to pixels of the crop."""
    return compose_affines(shift_affine(box.left, box.top), image_to_crop)


def _meeting(boxes: Sequence[PixelBox]) -> list[list[int]]:
    """Group the indices of ``boxes`` such that the bounding boxes of two groups never overlap."""
    groups = [[index] for index in range(len(boxes))]
    while True:
        hulls = [_hull([boxes[index] for index in group]) for group in groups]
        pair = next(
            (
                (first, second)
                for second in range(len(groups))
                for first in range(second)
                if not hulls[first].intersection(hulls[second]).is_empty
            ),
            None,
        )
        if pair is None:
            return groups
        joined = groups[pair[0]] + groups[pair[1]]
        groups = [*(group for index, group in enumerate(groups) if index not in pair), joined]


def _hull(boxes: Sequence[PixelBox]) -> PixelBox:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return PixelBox(min(lefts), min(tops), max(rights), max(bottoms))
