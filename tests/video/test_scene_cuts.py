from __future__ import annotations

import pytest
import torch
from torch import Tensor

from psfr_core.errors import InputError
from psfr_core.images.filters import gaussian_blur
from psfr_core.video.scene_cuts import SceneCutFinder, frame_distance


def scene(seed: int, width: int = 400) -> Tensor:
    """Return a smooth random image (3, 90, ``width``) with its own colors."""
    random = torch.Generator().manual_seed(seed)
    smooth = gaussian_blur(torch.rand(1, 3, 90, width, generator=random), 8)[0]
    smooth = (smooth - smooth.mean()) / smooth.std() * 0.15
    return (smooth + torch.rand(3, 1, 1, generator=random) * 0.6 + 0.2).clamp(0, 1)


def noisy(frame: Tensor) -> Tensor:
    return (frame + 0.05 * torch.randn_like(frame)).clamp(0, 1)


def cuts(frames: list[Tensor]) -> list[int]:
    finder = SceneCutFinder()
    for frame in frames:
        finder.add(frame)
    return finder.cuts()


def test_finds_each_cut_and_nothing_else() -> None:
    shots = [[noisy(scene(seed)[..., :160]) for _ in range(length)] for seed, length in ((0, 7), (1, 4), (2, 9))]
    assert cuts([frame for shot in shots for frame in shot]) == [7, 11]


def test_a_cut_in_the_second_and_in_the_last_frame_counts() -> None:
    one, other = scene(0)[..., :160], scene(1)[..., :160]
    assert cuts([one, other, other, other]) == [1]
    assert cuts([one, one, one, other]) == [3]


@pytest.mark.parametrize("pixels_per_frame", [2, 8, 24])  # up to 15 % of the width
def test_a_pan_is_not_a_cut(pixels_per_frame: int) -> None:
    wide = scene(3)
    assert cuts([noisy(wide[..., x : x + 160]) for x in range(0, 240, pixels_per_frame)]) == []


def test_flicker_and_fades_are_not_cuts() -> None:
    frame = scene(4)[..., :160]
    assert cuts([frame * (0.8 if index % 2 else 1.0) for index in range(8)]) == []
    assert cuts([frame * (1 - index / 12) for index in range(13)]) == []


@pytest.mark.parametrize("length", [1, 2])
def test_a_flash_is_not_a_cut(length: int) -> None:
    frame, white = scene(5)[..., :160], torch.ones(3, 90, 160)
    assert cuts([*[frame] * 4, *[white] * length, *[frame] * 4]) == []


def test_distance_is_symmetric_and_within_its_range() -> None:
    one, other = scene(0)[..., :160], scene(1)[..., :160]
    assert frame_distance(one, one) == pytest.approx(0, abs=1e-5)
    assert frame_distance(one, other) == pytest.approx(frame_distance(other, one))
    assert frame_distance(torch.zeros(3, 9, 9), torch.eye(9).expand(3, -1, -1)) <= 1


def test_frames_must_be_float_rgb() -> None:
    with pytest.raises(InputError, match="frame must have the shape"):
        SceneCutFinder().add(torch.rand(1, 3, 8, 8))
