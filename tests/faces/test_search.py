"""Test the search with a fake network that finds one white square per color channel."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from psfr_core.errors import InputError
from psfr_core.faces.detection_options import DetectionOptions
from psfr_core.faces.face import Face
from psfr_core.faces.proposals import Candidates
from psfr_core.faces.pyramid import ScaleRange
from psfr_core.faces.search import search_faces

SCALE_RANGE = ScaleRange()
NETWORK = nn.Identity().eval()
FACE_POINTS = torch.tensor([[-0.25, -0.2], [0.25, -0.2], [0.0, 0.0], [-0.2, 0.25], [0.2, 0.25]])


def squares(images: Tensor, smallest: float = 4.0) -> list[Candidates]:
    """Return a candidate for the square in each channel, with a position and size from its centroid and area."""
    assert images.shape[-1] % 32 == images.shape[-2] % 32 == 0
    return [
        Candidates.join([_square(channel, index, smallest) for index, channel in enumerate(image)]) for image in images
    ]


def _square(channel: Tensor, index: int, smallest: float) -> Candidates:
    channel = channel.where(channel != channel[-1, -1], 0)  # the last pixel may be padding, which has a color
    side = channel.sum().clamp(min=0).sqrt()
    x, y = torch.arange(channel.shape[1]), torch.arange(channel.shape[0])
    center = torch.stack([(channel.sum(0) * x).sum(), (channel.sum(1) * y).sum()]) / channel.sum()
    boxes = torch.cat([center - side / 2, center + side / 2])[None]
    found = Candidates(boxes + 0.5, (center + side * FACE_POINTS)[None], torch.tensor([0.9 - 0.1 * index]))
    return found if side >= smallest else found.select(torch.tensor([False]))


def image_of(size: tuple[int, int], *centers_and_sides: tuple[int, int, int]) -> Tensor:
    image = torch.zeros(3, size[1], size[0])
    for channel, (x, y, side) in zip(image, centers_and_sides, strict=False):
        channel[y - side // 2 : y + side // 2 + 1, x - side // 2 : x + side // 2 + 1] = 1
    return image


def centers(faces: list[Face]) -> Tensor:
    """Return the centers of the boxes, where (0, 0) is the center of the top-left pixel."""
    return torch.tensor([face.box.center for face in faces]) - 0.5


@pytest.mark.parametrize("size", [(60, 41), (131, 97), (300, 200), (512, 512), (1300, 900), (2600, 700)])
def test_coordinates_are_those_of_the_input(size: tuple[int, int]) -> None:
    side = min(size) // 4 | 1  # odd, so that the square has a middle pixel
    x, y = size[0] // 3, size[1] // 2
    image = image_of(size, (x, y, side))[None]
    (faces,) = search_faces(image, NETWORK, squares, DetectionOptions(min_eye_distance=0), SCALE_RANGE)
    assert len(faces) == 1
    torch.testing.assert_close(centers(faces), torch.tensor([[x, y]]).float(), atol=0.05, rtol=0)
    torch.testing.assert_close(faces[0].landmarks, torch.tensor([x, y]) + side * FACE_POINTS, atol=0.2, rtol=0)
    assert faces[0].box.width == pytest.approx(side, rel=0.02)
    assert faces[0].landmarks.dtype == torch.float32
    assert faces[0].score == pytest.approx(0.9)


def test_highest_score_comes_first_and_frames_stay_separate() -> None:
    frames = torch.stack(
        [
            image_of((200, 150), (150, 40, 21), (40, 40, 21), (90, 100, 31)),
            image_of((200, 150)),
            image_of((200, 150), (60, 70, 25)),
        ]
    )
    together = search_faces(frames, NETWORK, squares, DetectionOptions(batch_size=2), SCALE_RANGE)
    assert [len(faces) for faces in together] == [3, 0, 1]
    expected = torch.tensor([[150.0, 40], [40, 40], [90, 100]])
    torch.testing.assert_close(centers(together[0]), expected, atol=0.05, rtol=0)
    for frame, faces in zip(frames, together, strict=True):
        (alone,) = search_faces(frame[None], NETWORK, squares, DetectionOptions(), SCALE_RANGE)
        assert [face.box for face in alone] == [face.box for face in faces]


def test_progress_counts_all_passes_and_can_stop_each() -> None:
    frames, seen = torch.zeros(3, 3, 900, 1300), []
    options = DetectionOptions(batch_size=2, max_side=700, tiles=True, turned=True)
    search_faces(frames, NETWORK, squares, options, SCALE_RANGE, progress=lambda *counts: seen.append(counts))
    passes = 2 * 4 * (2 + 3 * 2)  # batches, turns, sizes (700 and 350 px) and tiles
    assert seen == [(done, passes) for done in range(1, passes + 1)]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt(done)

    with pytest.raises(KeyboardInterrupt, match="^1$"):
        search_faces(frames, NETWORK, squares, options, SCALE_RANGE, progress=stop)


def test_tiles_find_faces_too_small_for_the_reduced_image() -> None:
    tiny, large = (1000, 333, 11), (400, 300, 201)
    image = image_of((1500, 600), tiny, large)[None]
    options = DetectionOptions(max_side=512, min_side=64, min_eye_distance=1)
    (without,) = search_faces(image, NETWORK, squares, options, SCALE_RANGE)
    torch.testing.assert_close(centers(without), torch.tensor([[400.0, 300]]), atol=0.05, rtol=0)
    (with_tiles,) = search_faces(image, NETWORK, squares, replace(options, tiles=True), SCALE_RANGE)
    torch.testing.assert_close(centers(with_tiles), torch.tensor([[1000.0, 333], [400, 300]]), atol=0.05, rtol=0)


def test_parts_of_faces_are_not_reported() -> None:
    """Move a face over the image. Tiles that contain only a part of it must not report another face."""
    for x in range(150, 1350, 75):
        image = image_of((1500, 600), (x, 290, 121))[None]
        options = DetectionOptions(max_side=512, min_side=64, tiles=True)
        (faces,) = search_faces(image, NETWORK, squares, options, SCALE_RANGE)
        torch.testing.assert_close(centers(faces), torch.tensor([[x, 290.0]]), atol=0.05, rtol=0)


def test_large_levels_do_not_report_large_faces() -> None:
    """Imitate networks that find a second, wrong face in a large one. Squares above 400 pixels are found twice."""

    def twice_when_large(images: Tensor) -> list[Candidates]:
        found = squares(images)
        return [
            Candidates.join([one, one.mapped((1.0, 1.0), (0.5 * width, 0.0))]) if width > 400 else one
            for one in found
            for width in [float(one.boxes[0, 2] - one.boxes[0, 0])]
        ]

    image = image_of((1200, 900), (500, 400, 601))[None]
    (faces,) = search_faces(image, NETWORK, twice_when_large, DetectionOptions(max_overlap=0.2), SCALE_RANGE)
    torch.testing.assert_close(centers(faces), torch.tensor([[500.0, 400]]), atol=0.1, rtol=0)


@pytest.mark.parametrize(("right", "down"), [(1, 0), (0, 1), (-1, 0), (0, -1)])
@pytest.mark.parametrize("side", [300, 1400])
def test_rotated_faces_are_found_at_their_positions(right: int, down: int, side: int) -> None:
    """Define faces as red squares that have a green square to their right, and find them in all rotations."""

    def upright(images: Tensor) -> list[Candidates]:
        found = [one.boxes[:, :2] + one.boxes[:, 2:] for one in squares(images)]
        apart = [centers[1] - centers[0] for centers in found]
        seen = torch.tensor([[float(x) > abs(float(y)), False] for x, y in apart])
        return [one.select(mask) for one, mask in zip(squares(images), seen, strict=True)]

    x, y = side // 2 - 30, side // 2
    image = image_of((side, side + 100), (x, y, 41), (x + 90 * right, y + 90 * down, 31))[None, :]
    (faces,) = search_faces(image, NETWORK, upright, DetectionOptions(turned=True), SCALE_RANGE)
    turn = torch.tensor([[right, down], [-down, right]]).float()
    torch.testing.assert_close(centers(faces), torch.tensor([[x, y]]).float(), atol=0.05, rtol=0)
    torch.testing.assert_close(faces[0].landmarks, torch.tensor([x, y]) + 41 * FACE_POINTS @ turn, atol=0.2, rtol=0)
    (unturned,) = search_faces(image, NETWORK, upright, DetectionOptions(), SCALE_RANGE)
    assert len(unturned) == (right == 1)


def test_faces_with_too_small_an_eye_distance_are_not_reported() -> None:
    image = image_of((512, 512), (100, 100, 41), (300, 300, 19))[None]
    (faces,) = search_faces(image, NETWORK, squares, DetectionOptions(min_eye_distance=10), SCALE_RANGE)
    torch.testing.assert_close(centers(faces), torch.tensor([[100.0, 100]]), atol=0.05, rtol=0)


def test_input_is_unchanged_and_values_out_of_range_are_clipped() -> None:
    image = image_of((512, 512), (100, 100, 41))[None]
    bright = torch.where(image > 0, 50.0, -3.0)
    bright_before = bright.clone()
    for given in (image, bright, image.half(), image.double()):
        (faces,) = search_faces(given, NETWORK, squares, DetectionOptions(), SCALE_RANGE)
        torch.testing.assert_close(centers(faces[:1]), torch.tensor([[100.0, 100]]), atol=0.05, rtol=0)
    assert torch.equal(bright, bright_before)


def test_network_gets_its_own_dtype() -> None:
    seen: list[torch.dtype] = []

    def propose(images: Tensor) -> list[Candidates]:
        seen.append(images.dtype)
        return [squares(image[None].float())[0] for image in images]

    search_faces(
        torch.zeros(1, 3, 40, 40), nn.Conv2d(3, 1, 1).double().eval(), propose, DetectionOptions(), SCALE_RANGE
    )
    assert seen == [torch.float64]


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(3, 8, 8), r"images must have the shape \(B, 3, H, W\), got \(3, 8, 8\)"),
        (torch.zeros(1, 4, 8, 8), r"\(B, 3, H, W\)"),
        (torch.zeros(1, 3, 0, 8), r"\(B, 3, H, W\)"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "floating point"),
        (torch.full((1, 3, 8, 8), float("nan")), "must be finite numbers, got NaN or infinity"),
    ],
)
def test_bad_images_are_refused(images: Tensor, words: str) -> None:
    with pytest.raises(InputError, match=words):
        search_faces(images, NETWORK, squares, DetectionOptions(), SCALE_RANGE)


def test_network_in_training_mode_is_refused() -> None:
    with pytest.raises(InputError, match=r"training mode. Call eval\(\) first"):
        search_faces(torch.zeros(1, 3, 8, 8), nn.Identity(), squares, DetectionOptions(), SCALE_RANGE)
