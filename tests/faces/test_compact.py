"""Test the bundled detector with a network that has planted outputs, and with a real network."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from psfr_core.errors import InputError
from psfr_core.faces import nms as suppression
from psfr_core.faces.compact import CompactDetector
from psfr_core.faces.detection_options import DetectionOptions
from psfr_core.networks.compact_face_net import CompactFaceNet, CompactFaceNetConfig, CompactFaceNetOutput, cell_centers

ANY = DetectionOptions(min_score=0.5, min_side=1, min_eye_distance=0)
BOX = torch.tensor([-20.0, -24, 20, 24])  # around the cell's center
TURNED_RIGHT = torch.tensor([[-2.0, -6], [10, -6], [10, 0], [0, 10], [9, 10]])  # the nose below the right eye


class PlantedNet(nn.Module):
    """Report a face at each red pixel, with the red value as its score. The face looks to the side that is green."""

    def __init__(self, box: Tensor = BOX) -> None:
        super().__init__()
        self.box = box

    def forward(self, images: Tensor) -> CompactFaceNetOutput:
        cells = F.avg_pool2d(images, 4)
        centers = cell_centers(cells.shape[2], cells.shape[3], cells)
        looks_right = (cells[:, 1:2].roll(-2, dims=3) > 0.5).float()[:, :, None]
        left = TURNED_RIGHT[[1, 0, 2, 4, 3]] * torch.tensor([-1.0, 1])
        points = TURNED_RIGHT.reshape(1, 10, 1, 1) * looks_right[:, :, 0] + left.reshape(1, 10, 1, 1) * (
            1 - looks_right[:, :, 0]
        )
        boxes = centers.repeat(1, 2, 1, 1) + self.box.view(1, 4, 1, 1)
        logits = torch.logit(cells[:, :1], eps=1e-4)
        return CompactFaceNetOutput(logits, boxes.expand(len(images), -1, -1, -1), centers.repeat(1, 5, 1, 1) + points)


def planted(*cells: tuple[int, int, float], looks: int = 2, size: tuple[int, int] = (256, 128)) -> Tensor:
    """Return an image with faces at ``cells`` (column, row, score), which look ``looks`` columns to the right."""
    image = torch.zeros(3, size[1] // 4, size[0] // 4)
    image[2, ::2] = 1  # this contrast prevents the search of a copy with increased contrast
    for column, row, score in cells:
        image[0, row, column] = score
        image[1, row, column + looks] = 1
    return image.repeat_interleave(4, 1).repeat_interleave(4, 2)


def detector(options: DetectionOptions = ANY) -> CompactDetector:
    return CompactDetector(PlantedNet().eval(), options)  # type: ignore[arg-type]


def test_faces_are_where_they_were_planted() -> None:
    images = torch.stack([planted((10, 12, 0.75), (40, 16, 0.875)), planted((30, 20, 0.625))])
    first, second = detector().detect(images)
    assert [round(face.score, 3) for face in first] == [0.875, 0.75]
    assert first[0].box == pytest.approx((162 - 20, 66 - 24, 162 + 20, 66 + 24), abs=0.01)
    torch.testing.assert_close(first[0].landmarks, torch.tensor([161.5, 65.5]) + TURNED_RIGHT, atol=0.01, rtol=0)
    assert second[0].box.center == pytest.approx((122, 82), abs=0.01)


def test_only_local_maxima_above_the_threshold_are_faces() -> None:
    image = planted((10, 12, 0.75), (11, 12, 0.875), (11, 13, 0.8), (28, 12, 0.49), size=(128, 128))
    (faces,) = detector(DetectionOptions(min_score=0.5, min_side=1, min_eye_distance=0, max_overlap=1)).detect(
        image[None]
    )
    assert [round(face.score, 3) for face in faces] == [0.875]


def test_overlapping_maxima_and_equal_neighbors_are_one_face() -> None:
    image = planted((10, 12, 0.75), (13, 12, 0.875), (40, 12, 0.75), (41, 12, 0.75))
    (faces,) = detector().detect(image[None])
    assert faces[0].box.center == pytest.approx((54, 50), abs=0.01)
    assert faces[1].box.center == pytest.approx((164, 50), abs=0.01)  # the mean of both cells
    assert len(faces) == 2


def test_a_large_face_without_detail_is_found_in_a_smaller_level() -> None:
    """Find a box of 160 px, because the planted network reports 40 px at a quarter of the size."""
    image = planted((7, 7, 0.75), size=(128, 128)).repeat_interleave(4, 1).repeat_interleave(4, 2)
    (faces,) = detector().detect(image[None])
    assert round(max(face.box.width for face in faces)) == 160


@pytest.mark.parametrize(("side", "widths"), [(158, [158, 316]), (162, [324])])
def test_only_the_smallest_level_reports_faces_of_more_than_160_pixels(
    side: int, widths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Search two levels with sides of 256 and 128 pixels. The planted network reports one box in each level."""
    monkeypatch.setattr(suppression, "MAX_INSIDE", 2.0)  # keep the box inside the other one
    network = PlantedNet(side * torch.tensor([-0.5, -0.5, 0.5, 0.5]))
    image = planted((15, 15, 0.75), size=(128, 128)).repeat_interleave(2, 1).repeat_interleave(2, 2)
    (faces,) = CompactDetector(network.eval(), ANY).detect(image[None])  # type: ignore[arg-type]
    assert sorted(round(face.box.width) for face in faces) == widths


def test_default_threshold() -> None:
    (faces,) = detector(DetectionOptions(min_side=1)).detect(planted((10, 12, 0.55), (40, 12, 0.6))[None])
    assert [round(face.score, 2) for face in faces] == [0.6]


@pytest.mark.parametrize("min_eye_distance", [0.0, 11.0, 13.0])
def test_mirrored_image_has_mirrored_faces(min_eye_distance: float) -> None:
    """Include heads turned to the side, whose nose is below one eye. The face is kept in both images or in neither."""
    image = planted((10, 12, 0.75), (40, 16, 0.875))
    turned = detector(DetectionOptions(min_score=0.5, min_side=1, min_eye_distance=min_eye_distance))
    (faces,), (mirrored,) = turned.detect(image[None]), turned.detect(image.flip(-1)[None])
    assert len(faces) == len(mirrored) == (2 if min_eye_distance < 12 else 0)
    for face, mirror in zip(faces, mirrored, strict=True):
        expected = torch.tensor([255.0, 0]) + face.landmarks[[1, 0, 2, 4, 3]] * torch.tensor([-1.0, 1])
        torch.testing.assert_close(mirror.landmarks, expected, atol=0.01, rtol=0)
        assert mirror.landmarks[0, 0] < mirror.landmarks[1, 0]
        assert mirror.box.left == pytest.approx(256 - face.box.right, abs=0.01)
        assert mirror.box.right == pytest.approx(256 - face.box.left, abs=0.01)


def test_real_network_runs_at_any_size() -> None:
    torch.manual_seed(0)
    network = CompactFaceNet(CompactFaceNetConfig((4, 4, 6, 8, 8), 6)).eval()
    for size in [(1, 1), (33, 65), (200, 90)]:
        frames = torch.rand(2, 3, *size)
        found = CompactDetector(network, DetectionOptions(min_score=0.0, min_side=64, min_eye_distance=0)).detect(
            frames
        )
        assert len(found) == 2
        assert all(0 <= face.score <= 1 and face.landmarks.shape == (5, 2) for faces in found for face in faces)


def test_options_of_another_type_are_refused() -> None:
    with pytest.raises(InputError, match="options must be of type DetectionOptions, got a dict"):
        detector().detect(torch.zeros(1, 3, 64, 64), {"min_score": 0.5})  # type: ignore[arg-type]
