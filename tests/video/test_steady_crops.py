"""Crops of a face stay in their place, whatever its landmarks do."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from psfr_core.faces.face import Face
from psfr_core.faces.template import template_for
from psfr_core.images.box import Box, Size
from psfr_core.images.filters import gaussian_blur
from psfr_core.images.similarity import compose_affines, invert_affine, shift_affine, transform_points
from psfr_core.images.warp import warp_affine
from psfr_core.video.face_plan import PlannedFace
from psfr_core.video.frame_planes import FramePlanes
from psfr_core.video.register_crops import register_crop
from psfr_core.video.steady_crops import CropCutter

SIDE = 96
CORNERS = torch.tensor([[0.0, 0.0], [SIDE - 1.0, 0.0], [0.0, SIDE - 1.0], [SIDE - 1.0, SIDE - 1.0]])


def texture(side: int) -> Tensor:
    image = gaussian_blur(torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(3)), 4)[0]
    return ((image - image.mean()) / image.std() * 0.15 + 0.5).clamp(0, 1)


def similarity(degrees: float, scale: float, x: float, y: float) -> Tensor:
    """Return the similarity around the center of a crop of SIDE pixels."""
    cos, sin = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    turn = torch.tensor([[cos, -sin, x], [sin, cos, y]], dtype=torch.float64)
    center = (SIDE - 1) / 2
    return compose_affines(compose_affines(shift_affine(-center, -center), turn), shift_affine(center, center))


def distance(one: Tensor, other: Tensor) -> float:
    """Return the largest distance of the corners of a crop under two transforms."""
    return float((transform_points(one, CORNERS) - transform_points(other, CORNERS)).norm(dim=1).max())


@pytest.mark.parametrize("is_hidden", [False, True])
def test_a_similarity_is_found_despite_noise_and_a_hand(is_hidden: bool) -> None:
    scene = texture(160)
    to_crop = shift_affine(-32, -32)
    moved = similarity(2.0, 1.03, 3.0, -2.0)
    fixed = warp_affine(scene, to_crop, Size(SIDE, SIDE))
    moving = warp_affine(scene, compose_affines(to_crop, moved), Size(SIDE, SIDE))
    moving = moving + 0.01 * torch.randn(moving.shape, generator=torch.Generator().manual_seed(1))
    if is_hidden:
        moving[:, 50:80, 20:60] = 0.1
    assert distance(invert_affine(moved), shift_affine(0, 0)) > 5
    assert distance(register_crop(moving, fixed), invert_affine(moved)) < 0.15


def test_crops_without_structure_stay_where_they_are() -> None:
    gray = torch.full((3, SIDE, SIDE), 0.5)
    assert distance(register_crop(gray + 0.01, gray), shift_affine(0, 0)) < 1e-6


@pytest.mark.parametrize(("registers", "low", "high"), [(True, 0.0, 0.3), (False, 1.2, 3.0)])
def test_a_face_stays_in_its_place_if_landmarks_jitter(
    clips: ModuleType, registers: bool, low: float, high: float
) -> None:
    frame = clips.av.VideoFrame.from_ndarray((texture(200).permute(1, 2, 0) * 255).byte().numpy(), format="rgb24")
    planes = FramePlanes.of(frame.reformat(format="gbrp"))
    cutter = CropCutter(SIDE, torch.device("cpu"), registers=registers)
    jitter = np.random.default_rng(0).normal(0, 1.5, (20, 2))
    face = Face(Box(50, 50, 150, 150), template_for(SIDE).float() + 50, 0.9)
    cuts = []
    for x, y in jitter:
        cut = cutter.cut(planes, PlannedFace(0, face, shift_affine(-50 + x, -50 + y), 1.0, SIDE))
        assert cut is not None
        cuts.append(cut.aligned.image_to_crop[:, 2])
    steps = torch.stack(cuts).diff(dim=0).norm(dim=1)
    assert low <= float(steps.mean()) < high
