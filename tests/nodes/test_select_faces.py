"""Test the selection of faces and the data of the picker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

Run = Callable[..., Any]


@pytest.fixture
def faces(pack: Any, host: object) -> Any:
    """Return three faces in the second of three frames: one in the middle, a large one on the right, a small one on the left."""
    face, box = pack("psfr_core.faces.face").Face, pack("psfr_core.images.box").Box
    found = [
        face(box(40.0, 10.0, 60.0, 30.0), torch.zeros(5, 2), 0.9),
        face(box(70.0, 10.0, 100.0, 40.0), torch.zeros(5, 2), 0.8),
        face(box(10.0, 10.0, 20.0, 20.0), torch.zeros(5, 2), 0.7),
    ]
    return pack("nodes.detected_faces").DetectedFaces.of([[], found, []], torch.rand(3, 3, 50, 100))


def lefts(faces: Any) -> list[list[float]]:
    return [[face.box.left for face in found] for found in faces.frames]


@pytest.mark.parametrize(
    ("options", "selected", "rest"),
    [
        ({}, [70.0, 40.0, 10.0], []),
        ({"order": "left-right"}, [10.0, 40.0, 70.0], []),
        ({"order": "left-right", "indices": "0, 2"}, [10.0, 70.0], [40.0]),
        ({"indices": "1-9"}, [40.0, 10.0], [70.0]),
        ({"indices": "none"}, [], [40.0, 70.0, 10.0]),
        ({"max_faces": 1}, [70.0], [40.0, 10.0]),
        ({"min_size": 15.0, "order": "small-first"}, [40.0, 70.0], [10.0]),
    ],
)
def test_selected_and_rest(
    run: Run, faces: Any, options: dict[str, Any], selected: list[float], rest: list[float]
) -> None:
    found, others, count, boxes = run("PSFR_SelectFaces", faces=faces, **options).args
    assert lefts(found) == [[], selected, []]
    assert lefts(others) == [[], rest, []]
    assert count == len(selected)
    assert [[box["x"] for box in of_frame] for of_frame in boxes] == [[], selected, []]


def test_the_picker_gets_all_faces_by_their_numbers(run: Run, faces: Any) -> None:
    shown = run("PSFR_SelectFaces", faces=faces, order="left-right", indices="1", max_faces=1, min_size=15.0).ui
    (message,) = shown["face_picker"]
    (frame,) = message["frames"]
    assert (message["width"], message["height"], frame["image"]["type"]) == (100, 50, "temp")
    assert (message["count"], message["hidden"], message["indices"]) == (
        2,
        0,
        "1",
    )  # without the face left out by its size
    assert frame["faces"] == [
        {"index": 0, "box": [0.4, 0.2, 0.6, 0.6], "score": 0.9},
        {"index": 1, "box": [0.7, 0.2, 1.0, 0.8], "score": 0.8},
    ]
    assert torch.equal(frame["image"].pixels.movedim(-1, 0), faces.pictures[0].pixels)


def test_the_preview_is_the_first_frame_with_a_face_reduced(pack: Any, host: object) -> None:
    detected_faces = pack("nodes.detected_faces").DetectedFaces
    frames = torch.rand(2, 3, 512, 2048)
    face, box = pack("psfr_core.faces.face").Face, pack("psfr_core.images.box").Box
    faces = detected_faces.of([[], [face(box(0, 0, 9, 9), torch.zeros(5, 2), 1.0)]], frames)
    (picture,) = faces.pictures
    assert picture.frame == 1
    assert picture.pixels.shape == (3, 256, 1024)
    expected = frames[1].reshape(3, 256, 2, 1024, 2).mean((2, 4))
    assert (picture.pixels - expected).abs().mean() < 0.1
    assert [shown.frame for shown in detected_faces.of([[], []], frames).pictures] == [0]


@pytest.fixture
def tracked(pack: Any, host: object) -> Any:
    """Return three tracks in four frames: track 0 in all, track 1 (large, on the right) from frame 1, track 2 in frames 1 and 3."""
    face, box = pack("psfr_core.faces.face").Face, pack("psfr_core.images.box").Box

    def at(left: float, side: float, track: int) -> Any:
        return face(box(left, 10.0, left + side, 10.0 + side), torch.zeros(5, 2), 0.9, track)

    found = [
        [at(10, 20, 0)],
        [at(11, 20, 0), at(70, 30, 1), at(40, 8, 2)],
        [at(12, 20, 0), at(60, 10, 1)],
        [at(13, 20, 0), at(62, 10, 1), at(42, 25, 2)],
    ]
    return pack("nodes.detected_faces").DetectedFaces.of(found, torch.rand(4, 3, 50, 100))


@pytest.mark.parametrize(
    ("options", "selected"),
    [
        ({}, [[10], [70, 11, 40], [60, 12], [62, 13, 42]]),  # the order of the first faces, in every frame
        ({"indices": "1"}, [[], [70], [60], [62]]),
        ({"indices": "-1"}, [[], [40], [], [42]]),
        ({"indices": "0,2", "order": "right-left"}, [[10], [40, 11], [12], [42, 13]]),
        ({"min_size": 15.0}, [[10], [70, 11], [60, 12], [62, 13]]),  # track 2 starts too small, track 1 does not
        ({"max_faces": 1}, [[], [70], [60], [62]]),
    ],
)
def test_tracks_are_selected_in_all_frames(
    run: Run, tracked: Any, options: dict[str, Any], selected: list[list[float]]
) -> None:
    found, others, count, _ = run("PSFR_SelectFaces", faces=tracked, **options).args
    assert lefts(found) == selected
    rest = [sorted({*before} - {*after}) for before, after in zip(lefts(tracked), selected, strict=True)]
    assert [sorted(left) for left in lefts(others)] == rest
    assert count == sum(map(len, selected))


def test_the_picker_gets_each_track_in_its_first_frame(run: Run, tracked: Any) -> None:
    (message,) = run("PSFR_SelectFaces", faces=tracked, order="left-right").ui["face_picker"]
    assert message["count"] == 3
    assert [[face["index"] for face in frame["faces"]] for frame in message["frames"]] == [[0], [2, 1]]
    assert message["frames"][1]["faces"][1]["box"] == [0.7, 0.2, 1.0, 0.8]
    for frame, picture in zip(message["frames"], tracked.pictures, strict=True):
        assert torch.equal(frame["image"].pixels.movedim(-1, 0), picture.pixels)


def test_the_picker_counts_the_tracks_without_a_picture(run: Run, pack: Any, host: object) -> None:
    face, box = pack("psfr_core.faces.face").Face, pack("psfr_core.images.box").Box
    found = [
        [
            face(box(5.0 * track, 10.0, 5.0 * track + 20, 30.0), torch.zeros(5, 2), 0.9, track)
            for track in range(frame + 1)
        ]
        for frame in range(20)
    ]
    tracked = pack("nodes.detected_faces").DetectedFaces.of(found, torch.rand(20, 3, 50, 120))
    (message,) = run("PSFR_SelectFaces", faces=tracked).ui["face_picker"]
    assert (message["count"], message["hidden"], len(message["frames"])) == (20, 4, 16)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"indices": "0,x"}, "'x' is not a number or range"),
        ({"order": "ZZZ"}, "Unknown choice 'ZZZ'. Choose one of 'area'"),
    ],
)
def test_invalid_choices_are_reported(run: Run, faces: Any, pack: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(pack("psfr_core.errors").OptionError, match=words):
        run("PSFR_SelectFaces", faces=faces, **options)
