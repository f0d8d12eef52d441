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
    assert (message["width"], message["height"], message["image"]["type"]) == (100, 50, "temp")
    assert message["indices"] == "1"
    assert message["faces"] == [
        {"index": 0, "box": [0.4, 0.2, 0.6, 0.6], "score": 0.9},
        {"index": 1, "box": [0.7, 0.2, 1.0, 0.8], "score": 0.8},
    ]
    assert torch.equal(message["image"].pixels.movedim(-1, 0), faces.picture)


def test_the_preview_is_the_first_frame_with_a_face_reduced(pack: Any, host: object) -> None:
    detected_faces = pack("nodes.detected_faces").DetectedFaces
    frames = torch.rand(2, 3, 512, 2048)
    face, box = pack("psfr_core.faces.face").Face, pack("psfr_core.images.box").Box
    faces = detected_faces.of([[], [face(box(0, 0, 9, 9), torch.zeros(5, 2), 1.0)]], frames)
    assert faces.picture.shape == (3, 256, 1024)
    assert faces.picture_frame == 1
    expected = frames[1].reshape(3, 256, 2, 1024, 2).mean((2, 4))
    assert (faces.picture - expected).abs().mean() < 0.1
    assert detected_faces.of([[], []], frames).picture_frame == 0


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
