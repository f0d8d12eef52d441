"""Compare the pre- and post-processing of RetinaFace with facexlib's, with a network that has random weights."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from psfr_core.faces import nms as suppression
from psfr_core.faces.detection_options import DetectionOptions
from psfr_core.faces.face import Face
from psfr_core.faces.retinaface import RetinaFaceDetector, anchors_for
from psfr_core.models.retinaface_network import build_retinaface

pytestmark = pytest.mark.facexlib


@pytest.fixture(scope="module")
def network() -> Any:
    torch.manual_seed(3)
    net = build_retinaface("mobile0.25").train()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        net(noise(64, 96, batch=4) * 255)  # fit the statistics, so that predictions differ from place to place
        for name, parameter in net.named_parameters():
            # Small weights avoid equal scores, and boxes centered outside the image, which facexlib would keep.
            if "Head" in name:
                parameter.mul_(0.02)
    return net.eval()


def noise(height: int, width: int, batch: int = 1) -> Tensor:
    coarse = torch.rand(batch, 3, height // 8, width // 8, generator=torch.Generator().manual_seed(height))
    return coarse.repeat_interleave(8, 2).repeat_interleave(8, 3)


def exact_options(min_score: float) -> DetectionOptions:
    return DetectionOptions(min_score=min_score, min_side=1, min_eye_distance=0)


def threshold(network: Any, images: Tensor, count: int) -> float:
    """Return a minimum score that ``count`` anchors of the first image reach."""
    with torch.no_grad():
        bgr = images[:1].flip(1) * 255 - torch.tensor([104.0, 117, 123]).view(3, 1, 1)
        return float(network(bgr)[1][0, :, 1].topk(count).values[-1]) - 1e-6


def rows(faces: list[Face]) -> Tensor:
    return torch.tensor([[*face.box, face.score, *face.landmarks.flatten().tolist()] for face in faces])


@pytest.mark.parametrize(("height", "width"), [(128, 96), (64, 256)])
def test_same_boxes_and_landmarks_as_facexlib(
    network: Any, height: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suppression, "MAX_INSIDE", 2.0)  # facexlib keeps boxes inside others
    images = noise(height, width)
    score = threshold(network, images, 60)
    with torch.no_grad():
        bgr = (images[0].permute(1, 2, 0).flip(2) * 255).numpy()
        expected = torch.from_numpy(network.detect_faces(bgr, conf_threshold=score, nms_threshold=0.4))
    (faces,) = RetinaFaceDetector(network, exact_options(score)).detect(images)
    assert len(expected) > 5
    expected[:, 5:] -= 0.5  # facexlib counts from the corner of the first pixel
    torch.testing.assert_close(rows(faces), expected.float(), atol=0.01, rtol=0)


def test_anchors_follow_the_order_of_the_predictions() -> None:
    expected = [
        (stride * (column + 0.5), stride * (row + 0.5), side)
        for stride, sides in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
        for row, column, side in product(range(64 // stride), range(96 // stride), sides)
    ]
    assert anchors_for(64, 96, torch.device("cpu")).tolist() == [list(map(float, anchor)) for anchor in expected]


def test_frames_of_a_batch_stay_separate(network: Any) -> None:
    images = noise(64, 96, batch=3)
    detector = RetinaFaceDetector(network, exact_options(threshold(network, images, 40)))
    together = detector.detect(images)
    assert min(len(faces) for faces in together) > 0
    for image, faces in zip(images, together, strict=True):
        torch.testing.assert_close(rows(faces), rows(detector.detect(image[None])[0]), atol=0.01, rtol=0)


def test_default_threshold_is_strict(network: Any) -> None:
    images = noise(64, 96)
    options = exact_options(threshold(network, images, 40))
    detector = RetinaFaceDetector(network)
    assert detector.detect(images) == [[]]  # the default threshold is 0.9
    found = detector.detect(images, options)
    assert found[0]
    torch.testing.assert_close(rows(found[0]), rows(RetinaFaceDetector(network, options).detect(images)[0]))


def test_images_of_odd_sizes_are_searched(network: Any) -> None:
    for size in [(1, 1), (37, 61)]:
        assert len(RetinaFaceDetector(network, exact_options(0.5)).detect(torch.rand(2, 3, *size))) == 2
