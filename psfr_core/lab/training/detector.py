"""Train the bundled face detector on synthetic scenes, whose boxes and landmarks come from a RetinaFace."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from ...networks.compact_face_net import BOX_UNIT_PX, STRIDE, CompactFaceNet, cell_centers
from .scenes import Scene, Scenes
from .task import TrainingTask

# Standard deviation of a face's peak in the score map, as a fraction of the face's size. It is at least half a cell.
PEAK_SIGMA = 0.07
MIN_REGRESSION_PEAK = 0.3  # box and landmarks are learned where the score map exceeds this value
BOX_WEIGHT, LANDMARK_WEIGHT = 1.0, 20.0


def make_targets(scene: Scene) -> Tensor:
    """Return the targets of a scene (16, S/4, S/4).

    The channels are the score map, 14 raw values of box and landmarks (see ``CompactFaceNet.predict``), and the regression
    weight. Each cell has the values of the face whose peak is highest there.
    """
    side = scene.image.shape[-1] // STRIDE
    x, y = cell_centers(side, side, torch.zeros(()))[0].numpy()
    targets = np.zeros((16, side, side), np.float32)
    for box, landmarks in zip(scene.boxes, scene.landmarks, strict=True):
        left, top, right, bottom = box
        size = (right - left + bottom - top) / 2
        center_x, center_y = (left + right) / 2, (top + bottom) / 2
        # the score is exactly 1 in the cell nearest to the center of the face
        column, row = (min(max(round((v - (STRIDE - 1) / 2) / STRIDE), 0), side - 1) for v in (center_x, center_y))
        squared = (x - x[row, column]) ** 2 + (y - y[row, column]) ** 2
        peak = np.exp(-squared / (2 * max(PEAK_SIGMA * size, 0.5 * STRIDE) ** 2))
        better = peak > targets[0]
        distances = np.stack([x - left, y - top, right - x, bottom - y])
        raw_box = np.log(np.maximum(distances, 0.5) / BOX_UNIT_PX)
        raw_points = ((landmarks[:, :, None, None] - np.stack([x, y])) / size).reshape(10, side, side)
        values = np.concatenate([peak[None], raw_box, raw_points, np.where(peak > MIN_REGRESSION_PEAK, peak, 0)[None]])
        targets = np.where(better, values, targets)
    return torch.from_numpy(targets)


class SceneSample(NamedTuple):
    """One scene or a batch of scenes: ``image`` (..., 3, S, S), RGB in [0, 1], and ``targets`` (..., 16, S/4, S/4)."""

    image: Tensor
    targets: Tensor


class SceneSamples(Dataset[SceneSample]):
    """Data set of scenes with their targets."""

    def __init__(self, scenes: Scenes) -> None:
        self._scenes = scenes

    def __getitem__(self, index: int) -> SceneSample:
        scene = self._scenes[index]
        return SceneSample(scene.image, make_targets(scene))


class DetectorTask(TrainingTask[CompactFaceNet]):
    """Training of a face detector on scenes; the first ``count`` scenes of ``validation`` are used for validation."""

    def __init__(self, network: CompactFaceNet, scenes: Scenes, validation: Scenes, count: int) -> None:
        samples = SceneSamples(validation)
        super().__init__(network, SceneSamples(scenes))
        self._validation = [samples[index] for index in range(count)]

    def forward(self, batch: SceneSample, step: int) -> dict[str, Tensor]:
        return self._losses(self.network, batch)

    @torch.no_grad()
    def validate(self, network: CompactFaceNet) -> dict[str, float]:
        sums: dict[str, float] = {}
        for image, targets in self._validation:
            for name, value in self._losses(network, SceneSample(image[None], targets[None])).items():
                sums[name] = sums.get(name, 0.0) + float(value) / len(self._validation)
        return sums

    def _losses(self, network: CompactFaceNet, batch: SceneSample) -> dict[str, Tensor]:
        images = batch.image.to(self.device, memory_format=torch.channels_last, non_blocking=True)
        targets = batch.targets.to(self.device, non_blocking=True)
        predicted = network.predict(images).float()
        score = focal_loss(predicted[:, :1], targets[:, :1])
        weight = targets[:, 15:]
        total_weight = weight.sum().clamp(min=1.0)
        error = (predicted[:, 1:] - targets[:, 1:15]).abs() * weight
        box, landmarks = error[:, :4].sum() / total_weight / 4, error[:, 4:].sum() / total_weight / 10
        total = score + BOX_WEIGHT * box + LANDMARK_WEIGHT * landmarks
        return {"total": total, "score": score, "box": box, "landmarks": landmarks}


def focal_loss(score_logits: Tensor, peaks: Tensor) -> Tensor:
    """Return the penalty-reduced focal loss of ``score_logits`` (B, 1, h, w), divided by the number of faces (at least 1).

    ``peaks`` (B, 1, h, w) are the target score maps, with the value 1 in the central cell of each face.
    Source: Law and Deng, CornerNet (2018), equation 1, with alpha = 2 and beta = 4.
    """
    score = score_logits.sigmoid()
    at_faces = -((1 - score) ** 2) * F.logsigmoid(score_logits)
    elsewhere = -((1 - peaks) ** 4) * score**2 * F.logsigmoid(-score_logits)
    is_face = peaks == 1
    return torch.where(is_face, at_faces, elsewhere).sum() / is_face.sum().clamp(min=1)
