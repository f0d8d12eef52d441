"""Cut faces out of successive frames such that each face stays in the same place in its crops."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..faces.align import AlignedFace
from ..images.box import Size
from ..images.similarity import compose_affines, invert_affine, resize_affine, shift_affine
from .face_patches import cut_face
from .face_plan import PlannedFace
from .moving_frame import Planes
from .register_crops import register_crop
from .steady_looks import outline_of

# Fraction of the registration with the previous crop that is applied. Crops follow the image in the short term, and the landmarks
# in the long term.
_KEPT = 0.95


@dataclass(frozen=True, eq=False)
class SteadyCrop:
    """A planned face, the same face aligned, its crop (3, S, S) on the device of the networks, and the outline of the crop."""

    planned: PlannedFace
    aligned: AlignedFace
    crop: Tensor
    outline: Tensor


class CropCutter:
    """Cutter of the faces in successive frames. With ``registers``, it registers each crop with the previous one of the track.

    Smoothed landmarks are wrong by a pixel or two, and by several pixels where the motion changes abruptly. Networks draw different
    detail in shifted crops, so landmarks alone are not enough.
    """

    def __init__(self, crop_size: int, device: torch.device, *, registers: bool) -> None:
        self._size, self._device, self._registers = crop_size, device, registers
        self._outlines: dict[int, Tensor] = {}  # the last one of each track

    def cut(self, planes: Planes, planned: PlannedFace) -> SteadyCrop | None:
        """Return the crop of a face in a frame, or None if the crop lies outside the frame. Frames must be passed in order."""
        cut = self._cut(planes, planned, planned.image_to_crop)
        if cut is None or not self._registers:
            return cut
        before = self._outlines.get(planned.track)
        if before is not None:
            correction = self._correction(cut.outline, before)
            cut = self._cut(planes, planned, compose_affines(planned.image_to_crop, correction)) or cut
        self._outlines[planned.track] = cut.outline
        return cut

    def _cut(self, planes: Planes, planned: PlannedFace, image_to_crop: Tensor) -> SteadyCrop | None:
        aligned = cut_face(planes, planned.face, image_to_crop, self._size)
        if aligned is None:
            return None
        crop = aligned.crop.to(self._device)
        return SteadyCrop(planned, aligned, crop, outline_of(crop))

    def _correction(self, outline: Tensor, before: Tensor) -> Tensor:
        """Return the similarity (2, 3) in crop pixels that moves ``outline`` towards ``before``, by the fraction _KEPT."""
        registration = torch.lerp(shift_affine(0, 0), register_crop(outline, before), _KEPT)
        to_outline = resize_affine(Size(self._size, self._size), Size.of(outline))
        return compose_affines(compose_affines(to_outline, registration), invert_affine(to_outline))
