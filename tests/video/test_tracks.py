from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest
import torch

from psfr_core.errors import OptionError, PositionError
from psfr_core.faces.face import Face
from psfr_core.faces.template import template_for
from psfr_core.images.box import Box
from psfr_core.video.assignment import assign
from psfr_core.video.tracks import Track, TrackOptions, track_faces


def face(x: float, y: float = 50.0, side: float = 40.0, score: float = 0.9) -> Face:
    """Return a face centered at (x, y)."""
    landmarks = (template_for(64) - 31.5) * side / 32 + torch.tensor([x, y])
    return Face(Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2), landmarks.float(), score)


def centers(track: Track) -> list[float]:
    return [float(landmarks.mean(0)[0]) - float(face(0).landmarks.mean(0)[0]) for landmarks in track.landmarks]


def shuffled(frames: Sequence[Sequence[Face]]) -> list[list[Face]]:
    return [random.Random(index).sample(list(faces), len(faces)) for index, faces in enumerate(frames)]


def test_two_people_stay_apart_whatever_the_order_of_detections() -> None:
    tracks = track_faces(shuffled([[face(50 + t), face(110 - t)] for t in range(20)]))
    assert [track.frames for track in tracks] == [range(20)] * 2
    assert sorted(centers(track)[0] for track in tracks) == pytest.approx([50, 110], abs=1e-3)
    for track in tracks:
        steps = torch.tensor(centers(track)).diff()
        assert steps.abs() == pytest.approx([1.0] * 19, abs=1e-3)


def test_people_who_cross_are_not_exchanged() -> None:
    # At frame 15 they are at the same place; a greedy match by distance exchanges them there.
    tracks = track_faces(shuffled([[face(50 + 4 * t), face(170 - 4 * t, 58)] for t in range(31)]))
    ends = sorted((round(centers(track)[0]), round(centers(track)[-1])) for track in tracks)
    assert ends == [(50, 170), (170, 50)]


def test_the_assignment_is_optimal_rather_than_greedy() -> None:
    # The nearest pair is face 1 and track 0, which would leave track 1 alone.
    costs = torch.tensor([[0.5, 0.4], [2.0, 0.6]], dtype=torch.float64)
    assert assign(costs, 1.0) == [(0, 0), (1, 1)]
    assert assign(torch.tensor([[1.1]], dtype=torch.float64), 1.0) == []


def test_the_assignment_is_the_best_of_all() -> None:
    costs = torch.rand(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2
    limit = 1.0

    def total(pairs: Sequence[tuple[int, int]]) -> float:
        return sum(float(costs[pair]) for pair in pairs) + limit / 2 * (sum(costs.shape) - 2 * len(pairs))

    options = [
        list(zip(rows, columns, strict=True))
        for count in range(4)
        for rows in itertools.combinations(range(4), count)
        for columns in itertools.permutations(range(3), count)
    ]
    assert total(assign(costs, limit)) == pytest.approx(min(map(total, options)))


def test_no_track_crosses_a_cut() -> None:
    tracks = track_faces([[face(50)]] * 12, cuts=[6])
    assert [track.frames for track in tracks] == [range(6), range(6, 12)]


def test_gaps_are_bridged_by_interpolation() -> None:
    frames = [[face(50 + 3 * t)] for t in range(20)]
    frames[8:12] = [[]] * 4
    (track,) = track_faces(frames)
    assert track.frames == range(20)
    assert centers(track) == pytest.approx([50 + 3 * t for t in range(20)], abs=1e-3)
    assert (track.scores == 0).nonzero().flatten().tolist() == [8, 9, 10, 11]
    assert track.face(9).box.left == pytest.approx(50 + 27 - 20)
    assert track.face(9).score == 0


def test_frames_that_are_not_searched_are_interpolated_and_do_not_count() -> None:
    frames = [[face(50 + 3 * t)] if t % 2 == 0 else None for t in range(21)]
    (track,) = track_faces(frames, options=TrackOptions(max_gap=0, min_share=1))
    assert track.frames == range(21)
    assert centers(track) == pytest.approx([50 + 3 * t for t in range(21)], abs=1e-3)
    frames[10] = []
    assert [one.frames for one in track_faces(frames, options=TrackOptions(max_gap=2))] == [range(9), range(12, 21)]
    assert [one.frames for one in track_faces(frames, options=TrackOptions(max_gap=3))] == [range(21)]
    assert (
        track_faces(frames, options=TrackOptions(max_gap=3, min_share=0.95)) == []
    )  # found in 10 of 11 searched frames


def test_a_short_track_has_the_length_of_its_frames_not_of_the_searched_ones() -> None:
    frames = [[face(50)] if t % 2 == 0 else None for t in range(5)]
    assert len(track_faces([*frames, *[[]] * 10], options=TrackOptions(min_frames=5))) == 1
    assert track_faces([*frames, *[[]] * 10], options=TrackOptions(min_frames=6)) == []


def test_a_longer_gap_ends_the_track() -> None:
    frames = [[face(50)]] * 6 + [[]] * 4 + [[face(50)]] * 6
    assert [track.frames for track in track_faces(frames, options=TrackOptions(max_gap=3))] == [range(6), range(10, 16)]
    assert [track.frames for track in track_faces(frames, options=TrackOptions(max_gap=4))] == [range(16)]


@pytest.mark.parametrize(("period", "restored"), [(2, True), (3, False), (5, False), (12, False)])
def test_a_face_found_now_and_then_is_restored_throughout_or_not_at_all(period: int, restored: bool) -> None:
    tracks = track_faces([[face(50)] if t % period == 0 else [] for t in range(61)])
    assert [track.frames for track in tracks] == ([range(61)] if restored else [])


def test_a_false_positive_of_a_few_frames_is_dropped_unless_the_shot_is_as_short() -> None:
    blink = [[face(50)]] * 4
    assert track_faces([*blink, *[[]] * 10]) == []
    assert len(track_faces(blink)) == 1
    assert len(track_faces([[face(50)]])) == 1
    assert [track.frames for track in track_faces([*blink, *[[]] * 10], cuts=[4])] == [range(4)]


def test_a_face_that_leaves_and_returns_has_two_tracks() -> None:
    frames = [[face(50 - 4 * t)] for t in range(10)] + [[]] * 30 + [[face(14 + 4 * t)] for t in range(10)]
    assert [track.frames for track in track_faces(frames)] == [range(10), range(40, 50)]


def test_a_pan_faster_than_a_face_side_in_three_frames_is_followed() -> None:
    (track,) = track_faces([[face(50 + 14 * t)] for t in range(15)])
    assert len(track) == 15


def test_a_jump_to_another_place_or_size_is_another_face() -> None:
    assert len(track_faces([*[[face(50)]] * 6, *[[face(150)]] * 6])) == 2
    assert len(track_faces([*[[face(50)]] * 6, *[[face(50, side=80)]] * 6])) == 2


def test_nothing_found_is_a_normal_result() -> None:
    assert track_faces([]) == []
    assert track_faces([[], [], []]) == []


def test_faces_outside_the_track_and_options_out_of_range_raise() -> None:
    (track,) = track_faces([[face(50)]] * 3)
    with pytest.raises(PositionError, match="covers frames 0 to 2, not frame 3"):
        track.face(3)
    with pytest.raises(OptionError, match="min_share"):
        TrackOptions(min_share=1.1)
