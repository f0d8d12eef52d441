"""Make clips with known motion, blinks and occlusions from photos of faces, and degrade the clips like poor recordings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...checks import check_shape, seeded_generator
from ...faces.align import AlignedFace
from ...faces.face import Face
from ...faces.template import template_for
from ...images.box import Box, Size
from ...images.resize import resize
from ...images.similarity import compose_affines, invert_affine, shift_affine
from ...parsing.labels import FaceRegion, RegionGroup
from ...parsing.parse_map import ParseMap
from ...restoration.masks import crop_masks
from ...restoration.paste import paste_faces
from ...restoration.paste_options import PasteOptions
from ..degradation.closed_eyes import close_eyes
from ..degradation.operations import Interpolation, quantized
from ..degradation.pipeline import Blur, BlurKind, Degradation, Noise, apply_degradation

FACE_SIDE = 256
"""Side in pixels of the faces in clips."""

FRAME_SIZE = Size(384, 320)  # width and height in pixels
CLIP_FRAMES = 32
_PART = 8  # number of frames of each kind of motion: none, panning, rotation, zoom
_PAN, _ROTATION, _ZOOM = 5.0, math.radians(2.0), 0.015  # change per frame in pixels, radians and relative size
_BLINKS, _OCCLUSIONS = (3, 4), (6,)  # indices of the frames within each kind of motion
_MAX_DRAWINGS = 20  # maximum number of attempts to draw both eyes closed
_SOFT_BORDER = PasteOptions(regions=None, feather=0.08)


@dataclass(frozen=True, eq=False)
class FaceClip:
    """Clean clip of a face, with the frames (3, H, W), RGB in [0, 1].

    ``motions`` are the similarity transforms (2, 3) from the face to each frame. ``changes`` maps the index of each frame in which
    the face blinks or is partly hidden to a bool mask (1, S, S) of the pixels of the face that change.
    """

    frames: list[Tensor]
    motions: list[Tensor]
    changes: dict[int, Tensor]


def make_clip(face: Tensor, labels: Tensor, seed: int) -> FaceClip:
    """Make a clip of 32 frames of the aligned clean ``face`` (3, S, S), S = FACE_SIDE, with the ``labels`` (S, S) of its regions.

    The face rests, moves sideways, rotates and grows in front of a blurred background. It blinks and is partly hidden once during
    each of these four parts. ``seed`` determines the drawn lids. Raises InputError for faces of another size.
    """
    check_shape(face, f"3 {FACE_SIDE} {FACE_SIDE}", "face")
    blink = _with_closed_eyes(face, labels, seed)
    hidden = _with_object(face, labels)
    background = resize(resize(face, Size(6, 5)), FRAME_SIZE).clamp(0, 1)
    frames: list[Tensor] = []
    motions = [_motion(frame) for frame in range(CLIP_FRAMES)]
    changes: dict[int, Tensor] = {}
    for index, motion in enumerate(motions):
        place = index % _PART
        shown = blink if place in _BLINKS else hidden if place in _OCCLUSIONS else face
        if shown is not face:
            changes[index] = (shown - face).abs().amax(0, keepdim=True) > 0.1
        frames.append(_pasted(background, shown, motion))
    return FaceClip(frames, motions, changes)


def degraded(frames: Sequence[Tensor], seed: int) -> list[Tensor]:
    """Blur the ``frames`` (3, H, W), downscale them to half the size, add noise that is new in each frame, and upscale them."""
    return [
        apply_degradation(
            frame,
            Degradation(
                gray=False,
                blur=Blur(BlurKind.GAUSSIAN, 1.5),
                reduced_side=0.5,
                interpolation=Interpolation.BICUBIC,
                noise=Noise(0.03, per_channel=True, seed=seed * CLIP_FRAMES + index),
                jpeg_quality=None,
            ),
        ).lq
        for index, frame in enumerate(frames)
    ]


def _motion(frame: int) -> Tensor:
    """Return the similarity transform (2, 3) from the face to the frame with the index ``frame``."""
    panned, turned, zoomed = (min(max(frame - part * _PART, 0), _PART) for part in (1, 2, 3))
    angle, scale = turned * _ROTATION, 0.95 * (1 + _ZOOM) ** zoomed
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    turn = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0]], dtype=torch.float64)
    middle = (FACE_SIDE - 1) / 2
    x = (FRAME_SIZE.width - 1) / 2 + (panned - _PART / 2) * _PAN
    to_center = compose_affines(shift_affine(-middle, -middle), turn)
    return compose_affines(to_center, shift_affine(x, (FRAME_SIZE.height - 1) / 2))


def _pasted(background: Tensor, face: Tensor, motion: Tensor) -> Tensor:
    place = Face(Box(0, 0, FACE_SIDE, FACE_SIDE), template_for(FACE_SIDE).float(), 1.0)
    aligned = AlignedFace(place, face, invert_affine(motion))
    border = crop_masks(FACE_SIDE, _SOFT_BORDER, None)
    return quantized(paste_faces(background, [aligned], face[None], border).image)


def _with_closed_eyes(face: Tensor, labels: Tensor, seed: int) -> Tensor:
    """Return ``face`` with lids over both eyes. Draw them up to 20 times until no part of an eye stays open."""
    generator = seeded_generator(seed)
    drawn = face
    for _ in range(_MAX_DRAWINGS):
        drawn, drawn_labels = close_eyes(face, labels, generator)
        if not bool(ParseMap(drawn_labels[None]).mask(RegionGroup.EYES).any()):
            break
    return drawn


def _with_object(face: Tensor, labels: Tensor) -> Tensor:
    """Return ``face`` with a plain ellipse in the color of shaded skin over the mouth."""
    place = torch.linspace(-1, 1, FACE_SIDE)
    is_object = (place / 0.35).square() + ((place[:, None] - 0.5) / 0.2).square() <= 1
    skin = face[:, labels == FaceRegion.SKIN]
    color = 0.6 * skin.mean(1) if skin.shape[1] else face.new_full((3,), 0.4)
    return torch.where(is_object, color[:, None, None], face)
