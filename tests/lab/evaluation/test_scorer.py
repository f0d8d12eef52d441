from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from psfr_core.faces.detection_options import DetectionOptions
from psfr_core.faces.face import Face
from psfr_core.images.box import Box
from psfr_core.lab.evaluation.face_matching import match_faces
from psfr_core.lab.evaluation.scorer import MetricSet, Scorer
from psfr_core.lab.evaluation.sources import Sample
from psfr_core.lab.evaluation.stage import Stage
from psfr_core.lab.evaluation.tables import missing_of
from psfr_core.lab.metrics.identity import identity_metric
from psfr_core.lab.metrics.landmark_distance import face_distance, landmark_metric
from psfr_core.lab.metrics.psnr import PSNR
from psfr_core.lab.metrics.ssim import SSIM
from psfr_core.progress import Progress

CPU = torch.device("cpu")


def face(x: float, shift: float = 0.0) -> Face:
    points = torch.tensor([[0.0, 0], [20, 0], [10, 10], [2, 20], [18, 20]]) + torch.tensor([x + shift, 0])
    return Face(Box(x, 0, x + 20, 20), points, 1.0)


def flat(value: float) -> Tensor:
    return torch.full((1, 3, 16, 16), value)


class FaceByBrightness:
    """Detector that finds a face at x = 100 times the mean brightness of the image, and no face in a black image."""

    def detect(
        self, images: Tensor, options: DetectionOptions | None = None, *, progress: Progress | None = None
    ) -> list[list[Face]]:
        return [[face(100 * float(image.mean()))] if image.mean() > 0 else [] for image in images]


class Brightness:
    """Identity network whose embedding is the brightness of the red channel."""

    description = "of brightness"

    def embed(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))[:, :1]

    def distance(self, embeddings: Tensor, others: Tensor) -> Tensor:
        return (embeddings - others).abs()[:, 0]


class BrightnessFeature:
    name = "frechet_brightness"

    def __call__(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))[:, :1]


IDENTITY, LANDMARKS = identity_metric(Brightness()), landmark_metric(FaceByBrightness())
MODELS = MetricSet(CPU, [PSNR, SSIM, IDENTITY, LANDMARKS], [BrightnessFeature()])


def scored(models: MetricSet, values: Sequence[tuple[float, float, float]]) -> Scorer:
    """Return a scorer that has measured flat samples with these ``values``: before, result and reference."""
    scorer = Scorer(models, (Stage.BEFORE, Stage.RESULT))
    for number, (before, result, reference) in enumerate(values):
        images = {Stage.BEFORE: flat(before), Stage.RESULT: flat(result)}
        scorer.add(f"{number}.png", Sample(flat(reference), images))
    return scorer


def test_all_metrics_of_all_stages_are_measured() -> None:
    result = scored(MODELS, [(0.3, 0.4, 0.5), (0.3, 0.4, 0.6)]).result()
    row = result.rows["0.png"]
    assert list(row) == [
        *("psnr_before", "ssim_before", "identity_distance_before", "landmark_distance_before"),
        *("psnr", "ssim", "identity_distance", "landmark_distance"),
    ]
    assert result.metrics == MODELS.metrics == [PSNR, SSIM, IDENTITY, LANDMARKS]
    assert row["psnr"] == pytest.approx(20, abs=1e-3)
    assert row["identity_distance_before"] == pytest.approx(0.2)
    assert row["landmark_distance"] == pytest.approx(10 / 20)  # eyes of the reference are 20 px apart
    # The two references differ by 0.1 and the two results are equal: the means differ by 0.15, the variances by 0.005.
    assert result.distances["frechet_brightness"] == pytest.approx(0.15**2 + 0.005, rel=1e-4)
    assert result.distances["frechet_brightness_before"] == pytest.approx(0.25**2 + 0.005, rel=1e-4)


def test_faces_that_are_not_found_are_counted() -> None:
    models = MetricSet(CPU, [PSNR, SSIM, LANDMARKS])
    result = scored(models, [(0.0, 0.4, 0.5), (0.45, 0.4, 0.5), (0.45, 0.4, 0.0)]).result()
    assert missing_of(result.rows) == {"landmark_distance_before": 2, "landmark_distance": 1}
    assert math.isnan(result.rows["0.png"]["landmark_distance_before"])
    assert result.table[2][-1] == "0.5000"  # the mean without missing values
    assert "landmark_distance_before: missing for 2 of 3 images; the mean is over the others." in result.markdown


def test_infinite_values_are_counted_and_left_out_of_the_mean() -> None:
    models = MetricSet(CPU, [PSNR])
    result = scored(models, [(0.5, 0.5, 0.5), (0.5, 0.4, 0.5)]).result()
    assert math.isinf(result.rows["0.png"]["psnr_before"])
    assert result.table[1][1] == "inf"  # of both images
    assert "psnr_before: infinite for 2 of 2 images.\n" in result.markdown
    assert float(result.table[2][1]) == pytest.approx(20, abs=1e-3)
    assert "psnr: infinite for 1 of 2 images; the mean is over the others.\n" in result.markdown


def test_a_set_distance_needs_two_images_and_reports_their_number() -> None:
    one = scored(MODELS, [(0.3, 0.4, 0.5)]).result()
    assert math.isnan(one.distances["frechet_brightness"])
    assert one.table[1][-1] == "missing"
    two = scored(MODELS, [(0.3, 0.4, 0.5), (0.3, 0.4, 0.6)]).result()
    assert "frechet_brightness: 2 images against 2 references" in two.markdown
    assert "\nidentity_distance: of brightness.\n" in two.markdown


def test_ranked_by_the_last_stage_worst_first() -> None:
    result = scored(MODELS, [(0.5, 0.4, 0.5), (0.2, 0.45, 0.5), (0.5, 0.0, 0.5)]).result()
    assert result.ranked(PSNR) == ["2.png", "0.png", "1.png"]  # higher is better
    assert result.ranked(IDENTITY) == ["2.png", "0.png", "1.png"]  # lower is better
    assert result.ranked(LANDMARKS)[0] == "2.png"  # a missing face counts as worst


def test_faces_are_matched_by_their_landmarks() -> None:
    row = match_faces([face(0, 1.0), face(300)], [face(0), face(100)])
    assert row == {"found": 2, "expected": 2, "missed": 1, "extra": 1, "landmark_error": pytest.approx(0.05)}
    assert math.isnan(match_faces([], [face(0)])["landmark_error"])


def test_face_distance_uses_the_nearest_face() -> None:
    assert face_distance([face(300), face(0, 1.0)], [face(0), face(300)]) == pytest.approx(0.05)
    assert all(
        math.isnan(face_distance(*faces)) for faces in ([[], [face(0)]], [[face(0)], []], [[face(50)], [face(0)]])
    )
