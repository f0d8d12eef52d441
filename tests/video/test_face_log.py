from __future__ import annotations

import pytest
import torch

from psfr_core.errors import InputError
from psfr_core.faces.face import Face
from psfr_core.images.box import Box
from psfr_core.video.face_log import FaceLog


def test_faces_come_back_as_they_were_added() -> None:
    faces = [Face(Box(index, 2, 30.5, 40), torch.rand(5, 2), 0.5 + index / 10) for index in range(3)]
    log = FaceLog()
    for of_frame in (faces[:2], [], faces[2:]):
        log.add(of_frame)
    log.repeat()
    back = [of_frame or [] for of_frame in log]
    assert [len(of_frame) for of_frame in back] == [2, 0, 1, 1]
    assert len(log) == 4
    for old, new in zip([*faces, faces[2]], [face for of_frame in back for face in of_frame], strict=True):
        assert (new.box, new.score) == (old.box, old.score)
        assert torch.equal(new.landmarks, old.landmarks)


def test_an_empty_frame_can_be_repeated() -> None:
    log = FaceLog()
    log.add([])
    log.repeat()
    assert list(log) == [[], []]


def test_frames_that_were_not_searched_are_kept_apart_from_empty_ones() -> None:
    face = Face(Box(1, 2, 30, 40), torch.rand(5, 2), 0.5)
    log = FaceLog()
    for of_frame in ([face], None, []):
        log.add(of_frame)
    log.add(None)
    log.repeat()
    log.add([face])
    assert [None if of_frame is None else len(of_frame) for of_frame in log] == [1, None, 0, None, None, 1]


def test_invalid_faces_are_refused() -> None:
    with pytest.raises(InputError, match="finite"):
        FaceLog().add([Face(Box(0, 0, float("nan"), 1), torch.zeros(5, 2), 1.0)])
