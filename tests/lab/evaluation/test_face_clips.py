"""Clips of still faces with known motion."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from psfr_core.images.box import Size
from psfr_core.images.io import read_image
from psfr_core.images.resize import resize
from psfr_core.images.similarity import affine_scale, invert_affine, transform_points
from psfr_core.images.warp import warp_affine
from psfr_core.lab.clip_files import read_clip, write_clip
from psfr_core.lab.evaluation.face_clips import CLIP_FRAMES, FACE_SIDE, degraded, make_clip
from psfr_core.lab.evaluation.video import clip_row
from psfr_core.parsing.labels import FaceRegion
from psfr_core.parsing.parse_map import ParseMap

pytest.importorskip("av")

DATA = Path(__file__).parents[2] / "data"
SIZE = Size(FACE_SIDE, FACE_SIDE)


@pytest.fixture(scope="module")
def face() -> Tensor:
    return resize(read_image(DATA / "faces" / "male_58.jpg").pixels, SIZE).clamp(0, 1)


@pytest.fixture(scope="module")
def labels() -> Tensor:
    return ParseMap.from_png(DATA / "labels" / "male_58.png").resized(SIZE).labels[0]


def test_a_clip_shows_the_face_in_known_motion_with_blinks_and_objects(face: Tensor, labels: Tensor) -> None:
    clip = make_clip(face, labels, 0)
    assert len(clip.frames) == len(clip.motions) == CLIP_FRAMES
    back = [
        warp_affine(frame, invert_affine(motion), SIZE) for frame, motion in zip(clip.frames, clip.motions, strict=True)
    ]
    middle = (slice(None), slice(40, 216), slice(40, 216))
    for index, frame in enumerate(back):
        error = (frame - face).abs()[middle]
        assert float(error.median()) < 0.01
        changed = float((error.amax(0) > 0.1).float().mean())
        assert (changed > 0.008) == (index in clip.changes)
    eyes = (labels == FaceRegion.LEFT_EYE) | (labels == FaceRegion.RIGHT_EYE)
    assert float(clip.changes[3][0][eyes].float().mean()) > 0.5
    centers = torch.cat([transform_points(motion, torch.tensor([[127.5, 127.5]])) for motion in clip.motions])
    assert float((centers[16] - centers[8]).norm()) == pytest.approx(40)
    assert affine_scale(clip.motions[-1]) / affine_scale(clip.motions[0]) == pytest.approx(1.015**7)


def test_noise_differs_from_frame_to_frame(face: Tensor) -> None:
    one, other = degraded([face, face], 0)
    assert float((one - other).abs().mean()) > 0.005


def test_clips_are_files(face: Tensor, tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", [face, face.flip(2)])
    read = read_clip(tmp_path / "a.mp4")
    assert len(read) == 2
    assert float((read[1] - face.flip(2)).abs().mean()) < 0.03


def test_temporal_error_counts_flicker_and_not_motion_or_constant_errors(face: Tensor, labels: Tensor) -> None:
    clip = make_clip(face, labels, 0)
    mask = torch.ones(1, FACE_SIDE, FACE_SIDE, dtype=torch.bool)

    def no_distance(one: Tensor, other: Tensor) -> Tensor:
        return torch.zeros(1)

    exact = clip_row(clip, clip.frames, mask, no_distance)
    darker = clip_row(clip, [frame - 0.1 for frame in clip.frames], mask, no_distance)
    flickering = clip_row(
        clip, [frame + 0.01 * (-1) ** index for index, frame in enumerate(clip.frames)], mask, no_distance
    )
    assert exact["temporal_error"] == 0
    assert darker["temporal_error"] == pytest.approx(0, abs=0.01)
    assert darker["psnr"] == pytest.approx(20, abs=0.01)
    assert darker["change_error"] == pytest.approx(25.5, abs=0.01)
    assert flickering["temporal_error"] == pytest.approx(2 * 2.55, rel=0.01)
