from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from psfr_core.errors import InputError, OptionError
from psfr_core.faces.align import align_faces, fit_template, place_crops
from psfr_core.faces.face import Face
from psfr_core.faces.template import template_for
from psfr_core.images.box import Box
from psfr_core.images.similarity import compose_affines, transform_points

REAL_LANDMARKS = json.loads((Path(__file__).parents[1] / "data" / "landmarks.json").read_text())["landmarks"]


def face_at(crop_to_image: Tensor, crop_size: int) -> Face:
    return Face(Box(0, 0, 1, 1), transform_points(crop_to_image, template_for(crop_size)).float(), 1.0)


def similarity(scale: float, angle: float, x: float, y: float) -> Tensor:
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    return torch.tensor([[cosine, -sine, x], [sine, cosine, y]], dtype=torch.float64)


@pytest.mark.parametrize("crop_size", [64, 256])
@pytest.mark.parametrize(("scale", "angle"), [(0.4, 0.0), (1.0, 0.5), (2.3, -1.2), (0.9, 3.0)])
def test_a_known_transform_is_recovered(scale: float, angle: float, crop_size: int) -> None:
    crop_to_image = similarity(scale, angle, 140, 90)
    (aligned,) = align_faces(torch.zeros(3, 200, 250), [face_at(crop_to_image, crop_size)], crop_size)
    assert torch.allclose(aligned.crop_to_image, crop_to_image, atol=1e-4)
    assert torch.allclose(compose_affines(aligned.image_to_crop, crop_to_image), torch.eye(2, 3).double(), atol=1e-4)


def test_landmarks_are_mapped_to_the_template() -> None:
    """Paint a dot at each landmark, and find it at the template's position in the crop, at 0.5 to 3 times the size."""
    for scale in (0.5, 1.0, 3.0):
        face = face_at(similarity(scale, 0.4, 150, 60), 128)
        y, x = torch.meshgrid(torch.arange(500.0), torch.arange(500.0), indexing="ij")
        for index, (landmark_x, landmark_y) in enumerate(face.landmarks.tolist()):
            dot = torch.exp(-((x - landmark_x) ** 2 + (y - landmark_y) ** 2) / (2 * (3 * max(scale, 1)) ** 2))
            (aligned,) = align_faces(dot.expand(3, -1, -1), [face], 128)
            mass = aligned.crop[0].clamp(min=0.01) - 0.01
            place = torch.arange(128.0)
            center = torch.stack([(mass.sum(0) * place).sum(), (mass.sum(1) * place).sum()]) / mass.sum()
            assert torch.allclose(center.double(), template_for(128)[index], atol=0.02)


def test_faces_keep_their_order_and_the_image_is_unchanged() -> None:
    image = torch.rand(3, 80, 120, generator=torch.Generator().manual_seed(0)) * 4 - 2
    before = image.clone()
    faces = [face_at(similarity(0.5, 0.1, x, 20), 64) for x in (60, 10, 35)]
    aligned = align_faces(image, faces, 64)
    assert [entry.face for entry in aligned] == faces
    assert all(entry.crop.shape == (3, 64, 64) and entry.crop.dtype == torch.float32 for entry in aligned)
    assert torch.equal(image, before)
    assert align_faces(image, [], 64) == []


def test_crops_beyond_the_image_repeat_its_edge_pixels() -> None:
    image = torch.full((3, 40, 40), 0.8)
    (aligned,) = align_faces(image, [face_at(similarity(0.6, 0.2, -15, -10), 64)], 64)
    assert torch.allclose(aligned.crop, torch.full((3, 64, 64), 0.8))


def test_a_crop_smaller_than_the_face_is_antialiased() -> None:
    stripes = torch.arange(400).remainder(2).float().expand(3, 400, 400)
    (aligned,) = align_faces(stripes, [face_at(similarity(4.0, 0.0, 70, 70), 64)], 64)
    assert (aligned.crop - 0.5).abs().max() < 0.01


def test_real_landmarks_are_fitted_like_opencvs_least_median() -> None:
    cv2 = pytest.importorskip("cv2")
    for landmarks in REAL_LANDMARKS:
        points, template = torch.tensor(landmarks, dtype=torch.float64), template_for(512)
        theirs, _ = cv2.estimateAffinePartial2D(points.numpy(), template.numpy(), method=cv2.LMEDS)
        ours = transform_points(fit_template(points, 512), points)
        assert (ours - transform_points(torch.from_numpy(theirs), points)).norm(dim=1).max() < 0.1


def test_real_landmarks_come_near_the_template() -> None:
    for landmarks in REAL_LANDMARKS:
        points = torch.tensor(landmarks)
        distances = (transform_points(fit_template(points, 512), points) - template_for(512)).norm(dim=1)
        assert distances.max() < 45  # noses of turned heads deviate most; the eyes are 126 px apart
        assert distances.median() < 15


@pytest.mark.parametrize(
    ("landmarks", "message"),
    [
        (torch.full((5, 2), 30.0), "do not form a face.*must differ"),
        (torch.full((5, 2), math.nan), "do not form a face.*NaN or infinite"),
        (torch.rand(4, 2), r"landmarks of face 0 must have the shape \(5, 2\), got \(4, 2\)"),
        (template_for(64) + 500, r"lies outside the image of 70 x 60 pixels"),
        (template_for(64) - 500, "lies outside the image"),
    ],
)
def test_invalid_landmarks_are_named(landmarks: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        align_faces(torch.rand(3, 60, 70), [Face(Box(0, 0, 1, 1), landmarks.float(), 1.0)], 64)


def test_bad_images_and_sizes_are_named() -> None:
    face = Face(Box(0, 0, 1, 1), template_for(64).float(), 1.0)
    with pytest.raises(InputError, match=r"image must have the shape \(3, H, W\), got \(1, 8, 8\)"):
        align_faces(torch.rand(1, 8, 8), [face], 64)
    with pytest.raises(InputError, match="floating point"):
        align_faces(torch.zeros(3, 8, 8, dtype=torch.uint8), [face], 64)
    with pytest.raises(OptionError, match="crop_size"):
        align_faces(torch.rand(3, 8, 8), [face], 0)


@pytest.mark.parametrize("side", [64, 128])
def test_crops_of_any_size_map_back_to_their_positions(two_faces: list[Face], side: int) -> None:
    aligned = align_faces(torch.rand(3, 120, 160), two_faces, 64)
    placed = place_crops(two_faces, torch.rand(2, 3, side, side))
    corners = torch.tensor([[-0.5, -0.5], [63.5, 31.5]])
    for before, after in zip(aligned, placed, strict=True):
        expected = transform_points(before.crop_to_image, corners)
        found = transform_points(after.crop_to_image, (corners + 0.5) * side / 64 - 0.5)
        assert torch.allclose(found, expected, atol=1e-3)


def test_the_default_device_is_ignored(two_faces: list[Face]) -> None:
    image = torch.rand(3, 240, 320)
    with torch.device("meta"):
        elsewhere = align_faces(image, two_faces, 64)
    for found, expected in zip(elsewhere, align_faces(image, two_faces, 64), strict=True):
        assert torch.equal(found.crop, expected.crop)


def test_each_crop_needs_its_face(two_faces: list[Face]) -> None:
    with pytest.raises(InputError, match="3 crops but 2 faces"):
        place_crops(two_faces, torch.rand(3, 3, 8, 8))
    with pytest.raises(InputError, match=r"crops must have the shape \(N, 3, S, S\)"):
        place_crops(two_faces, torch.rand(2, 3, 8, 9))
