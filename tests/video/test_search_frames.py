"""Frames are skipped only where the frames around them tell what they contain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from psfr_core.errors import InputError
from psfr_core.faces.detection_options import DetectionOptions
from psfr_core.faces.face import Face
from psfr_core.images.box import Box
from psfr_core.video.search_frames import FrameSearch, are_same_faces


def face(x: float) -> Face:
    return Face(Box(x, 10, x + 40, 50), torch.full((5, 2), x), 0.9)


class NumberedFrames:
    """Detector that finds the given faces in the frames of ``frame``, and records their numbers."""

    def __init__(self, faces: Sequence[list[Face]]) -> None:
        self.faces, self.searched = faces, list[list[int]]()

    def frame(self, index: int) -> Tensor:
        return torch.full((3, 8, 8), index / 255)

    def detect(self, images: Tensor, *_: Any, **__: Any) -> list[list[Face]]:
        self.searched.append([round(float(image[0, 0, 0]) * 255) for image in images])
        return [self.faces[index] for index in self.searched[-1]]


def searched(
    faces: Sequence[list[Face]], groups: Sequence[int], cut: int | None = None, skips: bool = True
) -> list[int]:
    """Return the indices of the frames that are searched, and check that their faces are returned."""
    detector = NumberedFrames(faces)
    search = FrameSearch(detector, DetectionOptions(batch_size=2), skips=skips)
    results: list[list[Face] | None] = []
    for size in groups:
        indices = range(len(results), len(results) + size)
        results += search.search([detector.frame(index) for index in indices], [index == cut for index in indices])
    assert all(result is None or result is expected for result, expected in zip(results, faces, strict=True))
    assert all(len(batch) <= 2 for batch in detector.searched)
    found = sorted(index for batch in detector.searched for index in batch)
    assert found == [index for index, result in enumerate(results) if result is not None]
    return found


def test_every_second_frame_is_searched_where_faces_stay() -> None:
    assert searched([[face(10 + t), face(200)] for t in range(12)], [4, 4, 4]) == [0, 1, 3, 5, 7, 9, 11]
    assert searched([[] for _ in range(8)], [4, 4]) == [0, 1, 3, 5, 7]
    assert searched([[face(10)]] * 8, [4, 4], skips=False) == list(range(8))


def test_the_last_frame_of_each_group_is_searched() -> None:
    assert searched([[face(10)]] * 8, [4, 3, 1]) == [0, 1, 3, 4, 6, 7]


def test_frames_where_a_face_appears_leaves_or_moves_fast_are_searched() -> None:
    appears = [[face(10)]] * 6 + [[face(10), face(200)]] * 6
    assert searched(appears, [4, 4, 4]) == [0, 1, 3, 5, 6, 7, 9, 11]
    assert searched(appears[::-1], [4, 4, 4]) == [0, 1, 3, 5, 6, 7, 9, 11]
    assert searched([[face(12 * t)] for t in range(8)], [4, 4]) == list(range(8))  # 24 of 40 px in two frames
    assert searched([[face(6 * t)] for t in range(8)], [4, 4]) == [0, 1, 3, 5, 7]


@pytest.mark.parametrize(("cut", "extra"), [(4, 4), (5, 4), (3, 2), (6, 6)])
def test_both_frames_at_a_cut_are_searched(cut: int, extra: int) -> None:
    assert searched([[face(10)]] * 8, [4, 4], cut) == sorted({0, 1, 3, 5, 7, extra})


def test_an_exchange_of_two_faces_is_no_difference() -> None:
    assert are_same_faces([face(10), face(200)], [face(205), face(12)])
    assert not are_same_faces([face(10), face(12)], [face(11), face(200)])
    assert not are_same_faces([face(10)], [face(24)])  # IoU 26 / 54


def test_a_detector_must_return_a_list_for_each_frame() -> None:
    class Broken:
        def detect(self, images: Tensor, *_: Any, **__: Any) -> list[list[Face]]:
            return [[]]

    with pytest.raises(InputError, match="got 1 for 2"):
        FrameSearch(Broken(), None, skips=True).search([torch.zeros(3, 8, 8)] * 4, [False] * 4)
