from __future__ import annotations

import pytest
import torch

from psfr_core.video.steady_looks import TrackLook, average_look, outline_of, unchanged, windows


@pytest.mark.parametrize("radius", range(4))
@pytest.mark.parametrize("count", range(9))
def test_windows_hold_each_item_once_with_its_neighbors(count: int, radius: int) -> None:
    found = [(window.center, window.neighbors) for window in windows(range(count), radius)]
    expected = [
        (index, [other for other in range(count) if other != index and abs(other - index) <= radius])
        for index in range(count)
    ]
    assert found == expected


def test_windows_read_no_further_ahead_than_their_radius() -> None:
    read: list[int] = []

    def items() -> object:
        for index in range(100):
            read.append(index)
            yield index

    for window in windows(items(), 3):  # type: ignore[arg-type]
        assert read[-1] <= window.center + 3  # type: ignore[operator]


def looks(crops: list[torch.Tensor], values: list[torch.Tensor], tracks: list[int]) -> list[TrackLook]:
    return [TrackLook(track, outline_of(crop), value) for track, crop, value in zip(tracks, crops, values, strict=True)]


def test_noise_of_a_face_that_does_not_change_is_averaged() -> None:
    face = torch.rand(3, 8, 8).repeat_interleave(16, 1).repeat_interleave(16, 2)
    crops = [(face + 0.03 * torch.randn_like(face)).clamp(0, 1) for _ in range(7)]
    values = [torch.randn(3, 128, 128) for _ in range(7)]
    here, *others = looks(crops, values, [0] * 7)
    assert average_look(here, others).std() == pytest.approx(1 / 7**0.5, rel=0.05)


def test_a_change_wins_at_once_and_at_its_place_alone() -> None:
    face, blink = torch.full((3, 128, 128), 0.5), torch.full((3, 128, 128), 0.5)
    blink[:, 40:56, 30:60] = 0.8
    ones, zeros = torch.ones(1, 128, 128), torch.zeros(1, 128, 128)
    here, *others = looks([blink, face, face], [ones, zeros, zeros], [0, 0, 0])
    averaged = average_look(here, others)
    assert averaged[:, 42:54, 34:56].min() > 0.999
    assert averaged[:, 80:].max() < 0.34


def test_a_strong_change_includes_weak_ones_beside_it() -> None:
    face, blink = torch.full((3, 128, 128), 0.5), torch.full((3, 128, 128), 0.5)
    blink[:, 40:56, 30:70] = 0.52  # alone, this change is averaged in part
    blink[:, 46:50, 40:50] = 0.9
    weights = unchanged(outline_of(blink), outline_of(face), 128)
    assert weights[:, 46:50, 50:55].max() == 0
    assert weights[:, 46:50, 62:66].min() > 0.2
    assert weights[:, 80:].min() == 1


def test_other_people_do_not_count() -> None:
    face = torch.rand(3, 64, 64)
    here, *others = looks([face] * 3, [torch.zeros(1, 64, 64), torch.ones(1, 64, 64), torch.ones(1, 64, 64)], [0, 1, 2])
    assert average_look(here, others).max() == 0


def test_equal_crops_are_unchanged_and_unlike_ones_are_not() -> None:
    one = outline_of(torch.rand(3, 256, 256))
    assert unchanged(one, one, 256).min() == 1
    assert unchanged(one, one + 0.1, 256).max() == 0
