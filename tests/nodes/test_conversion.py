"""Test the nodes that exchange faces with other nodes: masks, bounding boxes and SEGS."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

Run = Callable[..., Any]
Pack = Callable[[str], Any]


@pytest.fixture
def batch(portrait: Tensor) -> Tensor:
    """Return three frames: the portrait, a gray frame, and a small portrait at the lower right."""
    small = torch.full_like(portrait, 0.5)
    small[:, 120:248, 120:248] = F.avg_pool2d(portrait.movedim(-1, 1), 2).movedim(1, -1)
    return torch.cat([portrait, torch.full_like(portrait, 0.5), small])


@pytest.fixture
def faces(run: Run, batch: Tensor) -> Any:
    """Return the faces that are detected in ``batch`` with a threshold of 0.5."""
    detector = run("PSFR_LoadFaceDetector").args[0]
    return run("PSFR_DetectFaces", image=batch, detector=detector, confidence=0.5).args[0]


@pytest.fixture
def planted(pack: Pack, host: object) -> Any:
    """Return two faces in the first of two frames of 60 x 40 pixels. The second face is partly outside the image."""
    face, box = pack("psfr_core.faces.face").Face, pack("psfr_core.images.box").Box
    found = [
        face(box(10.0, 8.0, 20.0, 20.0), torch.zeros(5, 2), 0.9),
        face(box(50.5, 30.25, 70.0, 44.0), torch.zeros(5, 2), 0.75),
    ]
    return pack("nodes.detected_faces").DetectedFaces.of([found, []], torch.rand(2, 3, 40, 60))


def same_faces(one: Any, other: Any) -> bool:
    """Return whether both contain faces and all faces are bit-identical."""
    pairs = [
        (first, second)
        for frames in zip(one.frames, other.frames, strict=True)
        for first, second in zip(*frames, strict=True)
    ]
    return len(pairs) > 0 and all(
        first.box == second.box and torch.equal(first.landmarks, second.landmarks) and first.score == second.score
        for first, second in pairs
    )


def test_faces_become_a_mask(run: Run, planted: Any) -> None:
    (mask,) = run("PSFR_FacesToMask", faces=planted, shape="box").args
    assert mask.shape == (2, 40, 60)
    assert float(mask[0].sum()) == pytest.approx(10 * 12 + 9.5 * 9.75)
    assert not mask[1].any()
    (ellipses,) = run("PSFR_FacesToMask", faces=planted, scale=0.5).args
    assert float(ellipses[0, :, :40].sum()) == pytest.approx(math.pi * 2.5 * 3, rel=0.03)


def test_boxes_are_converted_back_to_the_same_faces(run: Run, batch: Tensor, faces: Any) -> None:
    boxes = run("PSFR_SelectFaces", faces=faces).args[3]
    assert [len(found) for found in boxes] == [1, 0, 1]
    back, count, report = run("PSFR_BoxesToFaces", image=batch, bounding_boxes=boxes).args
    assert count == 2
    assert same_faces(back, faces)
    assert report == "Faces found: 2."


def test_select_faces_gives_the_boxes_of_the_selected_faces(run: Run, planted: Any) -> None:
    boxes = run("PSFR_SelectFaces", faces=planted, order="left-right", indices="-1").args[3]
    assert boxes == [[{"x": 50.5, "y": 30.25, "width": 19.5, "height": 13.75, "label": "face", "score": 0.75}], []]


@pytest.mark.parametrize("form", ["box", "list", "lists"])
def test_boxes_are_accepted_in_the_three_forms_of_comfyui(run: Run, portrait: Tensor, pack: Pack, form: str) -> None:
    box = {"x": 60, "y": 60, "width": 140, "height": 150}
    forms: dict[str, Any] = {"box": box, "list": [box], "lists": [[box], [box]]}
    found, count = run("PSFR_BoxesToFaces", image=portrait.repeat(2, 1, 1, 1), bounding_boxes=forms[form]).args[:2]
    assert count == 2
    assert torch.equal(found.frames[0][0].landmarks, found.frames[1][0].landmarks)
    parse = pack("nodes.bounding_boxes").boxes_of_frames
    assert parse([], 2) == [[], []]
    assert parse([[], [box]], 2) == [[], [(60, 60, 200, 210)]]


def test_boxes_without_a_face_are_reported(run: Run, batch: Tensor) -> None:
    corner = {"x": 2, "y": 3, "width": 20, "height": 24.4}
    _, count, report = run("PSFR_BoxesToFaces", image=batch, bounding_boxes=[corner] * 2).args
    assert count == 0
    places = "1: 2, 3, 20 x 24; 1: 2, 3, 20 x 24; 2: 2, 3, 20 x 24; 2: 2, 3, 20 x 24; 3: 2, 3, 20 x 24; ..."
    missed = f"Boxes without a face: 6. Places (image: x, y, size): {places}. Try a lower confidence."
    assert report == f"Faces found: 0.\n{missed}"


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        (None, "must be a list of boxes, got NoneType"),
        ([[], [], []], "bounding boxes belong to 3 images, but there are 2 images"),
        ([5, 6], "bounding boxes of image 0 must be a list, got int"),
        ([{"x": 1, "y": 2, "width": 0, "height": 3}], "width and height above 0, got .*for image 0"),
        ([[], [{"x": 1, "y": 2, "width": 4}]], "needs finite x, y, width and height.*for image 1"),
        ([{"x": math.nan, "y": 2, "width": 4, "height": 4}], "needs finite x"),
        ([[(1, 2, 3, 4)]], "needs finite x"),
    ],
)
def test_invalid_boxes_are_rejected(run: Run, pack: Pack, boxes: Any, words: str) -> None:
    with pytest.raises(pack("psfr_core.errors").InputError, match=words):
        run("PSFR_BoxesToFaces", image=torch.rand(2, 64, 64, 3), bounding_boxes=boxes)


def test_a_mask_gives_the_faces_in_it(run: Run, batch: Tensor, faces: Any) -> None:
    mask = run("PSFR_FacesToMask", faces=faces, scale=0.3).args[0]
    back, count, report = run("PSFR_MaskToFaces", image=batch, mask=mask).args
    assert count == 2
    assert same_faces(back, faces)
    assert report == "Faces found: 2."
    corner = torch.zeros(1, 128, 128)
    corner[0, :5, :5] = 1
    _, count, report = run("PSFR_MaskToFaces", image=batch[:1], mask=corner).args
    assert count == 0
    assert "Painted areas without a face: 1. Places (image: x, y, size): 1: 0, 0, 10 x 10." in report
    _, count, report = run("PSFR_MaskToFaces", image=batch[:1], mask=torch.zeros(1, 64, 64)).args
    assert count == 0
    assert "No part of the mask exceeds 0.5" in report
    assert report == run("PSFR_MaskToFaces", image=batch[:1], mask=torch.full((1, 64, 64), 0.5)).args[2]


def test_faces_become_segs_inside_the_image(run: Run, planted: Any) -> None:
    (segs,) = run("PSFR_FacesToSEGS", faces=planted, crop_factor=2.0).args
    assert [segs_of_frame[0] for segs_of_frame in segs] == [(40, 60), (40, 60)]
    first, second = segs[0][1]
    assert segs[1][1] == []
    assert (first.bbox, first.crop_region) == ((10, 8, 20, 20), (5, 2, 25, 26))
    assert (second.bbox, second.crop_region) == ((50, 30, 60, 40), (40, 20, 60, 40))  # clipped and moved into the image
    assert (first.label, first.confidence, first.cropped_image, first.control_net_wrapper) == ("face", 0.9, None, None)
    assert first.cropped_mask.shape == (24, 20)
    assert first.cropped_mask.sum() == 120
    assert first.cropped_mask[6:18, 5:15].min() == 1
    assert second.cropped_mask.sum() == pytest.approx(9.5 * 9.75)
    for seg in (first, second):
        assert all(type(side) is int for side in (*seg.bbox, *seg.crop_region))


@pytest.mark.parametrize("crop_factor", [1.0, 1.37, 3.0, 100.0])
def test_crop_regions_contain_their_boxes(run: Run, pack: Pack, host: object, crop_factor: float) -> None:
    face, box = pack("psfr_core.faces.face").Face, pack("psfr_core.images.box").Box
    corners = torch.rand(40, 2, generator=torch.manual_seed(0)) * 90 - 15
    sides = torch.rand(40, 2, generator=torch.manual_seed(1)) * 60 + 1
    found = [
        face(box(*start, *(start + side)), torch.zeros(5, 2), 0.5) for start, side in zip(corners, sides, strict=True)
    ]
    found = [face(box(*map(float, one.box)), one.landmarks, one.score) for one in found]
    faces = pack("nodes.detected_faces").DetectedFaces.of([found], torch.rand(1, 3, 50, 70))
    ((shape, segs),) = run("PSFR_FacesToSEGS", faces=faces, crop_factor=crop_factor).args[0]
    assert shape == (50, 70)
    assert len(segs) > 25
    for seg in segs:
        (left, top, right, bottom), (first, upper, last, lower) = seg.bbox, seg.crop_region
        assert 0 <= first <= left < right <= last <= 70
        assert 0 <= upper <= top < bottom <= lower <= 50
        assert seg.cropped_mask.shape == (lower - upper, last - first)


def test_segs_are_converted_back_to_the_same_faces(run: Run, batch: Tensor, faces: Any) -> None:
    (segs,) = run("PSFR_FacesToSEGS", faces=faces).args
    for index in range(3):
        back, count = run("PSFR_SEGSToFaces", image=batch[index : index + 1], segs=segs[index]).args[:2]
        assert count == len(faces.frames[index])
        assert [one.box for one in back.frames[0]] == [one.box for one in faces.frames[index]]


class OtherSeg(NamedTuple):
    bbox: Any


def test_segs_of_another_size_are_scaled(pack: Pack) -> None:
    size, boxes_of_segs = pack("psfr_core.images.box").Size, pack("nodes.segs").boxes_of_segs
    segs = ((50, 100), [OtherSeg((10, 20, 30, 40)), OtherSeg(torch.tensor([0, 0, 100, 50]))])
    assert boxes_of_segs(segs, size(200, 100)) == [(20, 40, 60, 80), (0, 0, 200, 100)]
    assert boxes_of_segs(((1, 1), []), size(200, 100)) == []


@pytest.mark.parametrize(
    ("segs", "words"),
    [
        (None, "must be SEGS"),
        ((50, []), "must be SEGS"),
        (((50, 100), [1]), "must be SEGS"),
        (((50, 100), [OtherSeg((1, 2, 3))]), "bbox of a SEG must be left, top, right and bottom"),
        (((50, 100), [OtherSeg((1, 2, 3, float("nan")))]), "bbox of a SEG must be finite and not empty"),
        (((50, 100), [OtherSeg((3, 2, 3, 9))]), "bbox of a SEG must be finite and not empty"),
        (((100, 50), [OtherSeg((1, 2, 3, 4))]), "an image of 50 x 100 pixels, but this image has 200 x 100"),
        (((0, 0), [OtherSeg((1, 2, 3, 4))]), "an image of 0 x 0 pixels"),
    ],
)
def test_invalid_segs_are_rejected(pack: Pack, segs: Any, words: str) -> None:
    with pytest.raises(pack("psfr_core.errors").InputError, match=words):
        pack("nodes.segs").boxes_of_segs(segs, pack("psfr_core.images.box").Size(200, 100))
