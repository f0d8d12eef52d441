from __future__ import annotations

from math import log
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch.utils.data import default_collate

from psfr_core.errors import TrainingError
from psfr_core.faces.face import Face
from psfr_core.images.box import Box
from psfr_core.images.similarity import transform_points
from psfr_core.lab.training.detector import DetectorTask, focal_loss, make_targets
from psfr_core.lab.training.face_samples import FaceSet
from psfr_core.lab.training.scenes import (
    Scene,
    Scenes,
    _photographed,
    _pose,
    load_backgrounds,
    make_cut_outs,
    make_distractors,
)
from psfr_core.networks.compact_face_net import CompactFaceNet, CompactFaceNetConfig

BOX = Box(16, 12, 48, 56)
POINTS = torch.tensor([[24.0, 26], [40, 26], [32, 36], [26, 46], [38, 46]])


@pytest.fixture
def scenes() -> Scenes:
    # a bright square on each landmark makes the landmarks visible in a scene
    image = torch.full((3, 64, 64), 90, dtype=torch.uint8)
    for x, y in POINTS.int().tolist():
        image[:, y - 2 : y + 3, x - 2 : x + 3] = 255
    faces = FaceSet(image[None], torch.ones(1, 64, 64, dtype=torch.uint8))
    cut_outs = make_cut_outs(faces, [[Face(BOX, POINTS, 1.0)]])
    distractor = Image.new("RGB", (24, 16), (40, 30, 20))
    return Scenes(cut_outs, [distractor], [Image.new("RGB", (96, 96))], side=128, seed=1)


def test_scenes_are_reproducible(scenes: Scenes) -> None:
    for one, other in zip(scenes[3], scenes[3], strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(other))
    assert not torch.equal(scenes[3].image, scenes[4].image)


def test_scenes_do_not_depend_on_earlier_ones() -> None:
    labels = torch.zeros(1, 64, 64, dtype=torch.uint8)
    labels[:, 16:48, 16:48] = 1
    cut_outs = make_cut_outs(FaceSet(torch.rand(1, 3, 64, 64).mul(255).byte(), labels), [[Face(BOX, POINTS, 1.0)]])
    scenes = Scenes(cut_outs, [Image.new("RGB", (24, 16))], [Image.new("RGB", (96, 96))], side=64, seed=1)
    first = [scenes[index].image for index in range(30)]
    assert all(torch.equal(scenes[index].image, image) for index, image in enumerate(first))


def test_only_scenes_with_large_faces_look_like_old_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    def photographed(face_px: float, fraction: float) -> list[torch.Tensor]:
        monkeypatch.setattr("psfr_core.lab.training.scenes.OLD_PHOTO_FRACTION", fraction)
        canvas = Image.new("RGB", (64, 64), (230, 20, 20))
        return [_photographed(canvas, face_px, np.random.default_rng(index)) for index in range(20)]

    def color(images: list[torch.Tensor]) -> float:
        return max(float((image[0] - image[2]).mean()) for image in images)

    assert all(map(torch.equal, photographed(20, 0.0), photographed(20, 1.0)))
    assert color(photographed(100, 0.0)) > 0.8
    assert 0.02 < color(photographed(100, 1.0)) < 0.3  # gray, then toned


def test_landmarks_lie_on_the_faces(scenes: Scenes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psfr_core.lab.training.scenes.OCCLUDED_FRACTION", 0.0)
    brighter, seen = 0, 0
    for index in range(60):
        scene = scenes[index]
        for box, landmarks in zip(scene.boxes, scene.landmarks, strict=True):
            if box[2] - box[0] < 24:
                continue
            gray = scene.image.mean(0)
            inside = [(x, y) for x, y in landmarks.round().astype(int) if 0 <= x < 128 and 0 <= y < 128]
            middle = ((landmarks[0] + landmarks[3]) / 2).round().astype(int)  # a dark point between eye and mouth
            if len(inside) < 5 or not (0 <= middle[0] < 128 and 0 <= middle[1] < 128):
                continue
            seen += 1
            brighter += all(gray[y, x] > gray[middle[1], middle[0]] for x, y in inside)
    assert seen > 15
    assert brighter >= 0.9 * seen


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_the_pose_moves_points_as_pillow_moves_pixels(is_mirrored: bool) -> None:
    image = Image.new("L", (64, 64))
    image.putpixel((44, 20), 255)
    image = image.filter(ImageFilter.BoxBlur(2))
    (x, y) = transform_points(_pose(64, 128, 25.0, is_mirrored=is_mirrored), torch.tensor([[44.0, 20.0]]))[0].tolist()
    if is_mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    posed = np.asarray(image.resize((128, 128), Image.Resampling.BILINEAR).rotate(25, Image.Resampling.BILINEAR), float)
    rows, columns = np.mgrid[:128, :128]
    assert (posed * columns).sum() / posed.sum() == pytest.approx(x, abs=0.1)
    assert (posed * rows).sum() / posed.sum() == pytest.approx(y, abs=0.1)


def test_faces_without_detection_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    faces = FaceSet(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.ones(2, 8, 8, dtype=torch.uint8))
    with caplog.at_level("WARNING"):
        assert len(make_cut_outs(faces, [[], [Face(Box(1, 1, 7, 7), torch.rand(5, 2), 1.0)]])) == 1
    assert "left out: 1 of 2" in caplog.text
    with pytest.raises(TrainingError, match="finds no face in any of the 2 images"):
        make_cut_outs(faces, [[], []])


def test_distractors_show_no_part_of_the_face() -> None:
    image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    labels = torch.ones(64, 64, dtype=torch.uint8)
    labels[20:40, 24:44] = 2  # nose, which is bright in the image
    image[:, 20:40, 24:44] = 255
    pieces = make_distractors(FaceSet(image[None], labels[None]))
    assert [piece.size for piece in pieces] == [(64, 20), (64, 24), (24, 64), (20, 64)]
    assert all(piece.getextrema() == ((0, 0),) * 3 for piece in pieces)


def test_backgrounds_are_reduced(tmp_path: Path) -> None:
    Image.new("L", (2048, 512)).save(tmp_path / "a.png")
    (image,) = load_backgrounds([tmp_path])
    assert (image.size, image.mode) == ((1024, 256), "RGB")


def test_an_unreadable_background_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (16_000, 16_000)).save(path)
    with pytest.raises(TrainingError, match=r"a\.png is needed for training and cannot be read: .*the limit is 250"):
        load_backgrounds([tmp_path])
    Image.new("RGB", (64, 64)).save(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") - 1] = 0
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"a\.png is needed for training and cannot be read: .*broken PNG file"):
        load_backgrounds([tmp_path])


def test_the_network_decodes_the_targets() -> None:
    boxes = np.array([[20, 30, 60, 86]], np.float32)
    landmarks = np.array([[[30, 50], [50, 50], [40, 60], [32, 70], [48, 70]]], np.float32)
    targets = make_targets(Scene(torch.zeros(3, 128, 128), boxes, landmarks))
    row, column = divmod(int(targets[0].argmax()), 32)
    assert targets[0, row, column] == 1
    assert abs(4 * column + 1.5 - 40) <= 2
    assert abs(4 * row + 1.5 - 58) <= 2

    net = CompactFaceNet(CompactFaceNetConfig((4, 4, 4, 4, 4), 4)).eval()
    net.predict = lambda images: targets[None, :15]  # type: ignore[method-assign]
    out = net(torch.zeros(1, 3, 128, 128))
    torch.testing.assert_close(out.boxes[0, :, row, column], torch.from_numpy(boxes[0]), atol=1e-3, rtol=0)
    torch.testing.assert_close(
        out.landmarks[0, :, row, column], torch.from_numpy(landmarks[0]).flatten(), atol=1e-3, rtol=0
    )


def test_focal_loss_is_near_zero_for_correct_scores() -> None:
    peaks = torch.zeros(1, 1, 4, 4)
    peaks[..., 1, 2] = 1
    right, wrong = 10 * (2 * peaks - 1), 10 * (1 - 2 * peaks)
    assert float(focal_loss(right, peaks)) < 1e-3
    assert float(focal_loss(wrong, peaks)) > 100


def test_focal_loss_equals_the_published_formula() -> None:
    scores, peaks = torch.tensor([0.9, 0.2, 0.7, 0.4]), torch.tensor([1.0, 1.0, 0.5, 0.0])
    at_faces = 0.1**2 * log(0.9) + 0.8**2 * log(0.2)
    elsewhere = 0.5**4 * 0.7**2 * log(0.3) + 0.4**2 * log(0.6)
    found = focal_loss(scores.logit().view(1, 1, 2, 2), peaks.view(1, 1, 2, 2))
    assert float(found) == pytest.approx(-(at_faces + elsewhere) / 2, rel=1e-5)


def test_detector_losses_have_gradients(scenes: Scenes) -> None:
    net = CompactFaceNet(CompactFaceNetConfig((4, 4, 4, 4, 4), 4))
    task = DetectorTask(net, scenes, scenes, 1)
    losses = task(default_collate([task.samples[index] for index in range(2)]), 0)
    losses["total"].backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert set(task.validate(net.eval())) == {"total", "score", "box", "landmarks"}
