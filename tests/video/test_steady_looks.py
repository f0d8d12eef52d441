from __future__ import annotations

import pytest
import torch

from psfr_core.video.steady_looks import FrameWeights, outline_of, unchanged, windows


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


def averaged(crops: list[torch.Tensor], values: list[torch.Tensor]) -> torch.Tensor:
    """Return the average of the first of ``values`` with the others, with the weights of their ``crops``."""
    here, *others = (outline_of(crop) for crop in crops)
    weights = FrameWeights.of(here, dict(enumerate(others)))
    return weights.average(values[0], dict(enumerate(values[1:])))


@pytest.mark.parametrize("side", [128, 256, 64])
def test_noise_of_a_face_that_does_not_change_is_averaged(side: int) -> None:
    face = torch.rand(3, 8, 8).repeat_interleave(16, 1).repeat_interleave(16, 2)
    crops = [(face + 0.03 * torch.randn_like(face)).clamp(0, 1) for _ in range(7)]
    values = [torch.randn(3, side, side) for _ in range(7)]
    assert averaged(crops, values).std() == pytest.approx(1 / 7**0.5, rel=0.05)
    assert averaged(crops, [torch.full((3, side, side), 0.7)] * 7) == pytest.approx(torch.full((3, side, side), 0.7))


def test_a_change_wins_at_once_and_at_its_place_alone() -> None:
    face, blink = torch.full((3, 128, 128), 0.5), torch.full((3, 128, 128), 0.5)
    blink[:, 40:56, 30:60] = 0.8
    ones, zeros = torch.ones(1, 128, 128), torch.zeros(1, 128, 128)
    average = averaged([blink, face, face], [ones, zeros, zeros])
    assert average[:, 42:54, 34:56].min() > 0.999
    assert average[:, 80:].max() < 0.34


def test_a_strong_change_includes_weak_ones_beside_it() -> None:
    face, blink = torch.full((3, 128, 128), 0.5), torch.full((3, 128, 128), 0.5)
    blink[:, 40:56, 30:70] = 0.52  # alone, this change is averaged in part
    blink[:, 46:50, 40:50] = 0.9
    weights = unchanged(outline_of(blink), outline_of(face))
    assert weights[:, 46:50, 50:55].max() == 0
    assert weights[:, 46:50, 62:66].min() > 0.2
    assert weights[:, 80:].min() == 1


def test_equal_crops_are_unchanged_and_unlike_ones_are_not() -> None:
    one = outline_of(torch.rand(3, 256, 256))
    assert unchanged(one, one).min() == 1
    assert unchanged(one, one + 0.1).max() == 0


def test_unknown_values_do_not_count() -> None:
    face, blink = torch.full((3, 128, 128), 0.5), torch.full((3, 128, 128), 0.5)
    blink[:, :40] = 0.9
    weights = FrameWeights.of(outline_of(face), {2: outline_of(face), 4: outline_of(blink), 5: outline_of(face)})
    values = {2: torch.full((1, 64, 64), 1.0), 4: torch.full((1, 64, 64), 4.0), 5: None}
    average = weights.average(None, values)
    assert average[:, :18].max() == pytest.approx(1, abs=1e-4)  # only frame 2 is like this one
    assert average[:, 26:] == pytest.approx(torch.full((1, 38, 64), 2.5))


def test_known_values_count_equally_where_all_of_their_frames_differ() -> None:
    face, change = torch.full((3, 128, 128), 0.5), torch.full((3, 128, 128), 0.9)
    weights = FrameWeights.of(outline_of(face), {2: outline_of(change), 4: outline_of(change)})
    values = {2: torch.full((1, 64, 64), 1.0), 4: torch.full((1, 64, 64), 4.0)}
    assert weights.average(None, values) == pytest.approx(torch.full((1, 64, 64), 2.5))
    assert weights.average(torch.zeros(1, 64, 64), values).max() < 1e-4


def test_the_least_share_is_that_of_the_region() -> None:
    face, blink = torch.full((3, 128, 128), 0.5), torch.full((3, 128, 128), 0.5)
    blink[:, 40:56, 30:70] = 0.51
    weights = FrameWeights.of(outline_of(face), {1: outline_of(face), 3: outline_of(blink)})
    eyes, chin = torch.zeros(1, 256, 256, dtype=torch.bool), torch.zeros(1, 256, 256, dtype=torch.bool)
    eyes[:, 80:112, 60:140] = True
    chin[:, 200:] = True
    assert weights.least_share([1, 3], eyes) == pytest.approx((1 - (0.01 / 0.03) ** 2) ** 2, rel=1e-3)
    assert weights.least_share([1, 3], chin) == weights.least_share([1], eyes) == 1
    assert weights.least_share([1, 2], chin) == 0  # the face is missing in frame 2
