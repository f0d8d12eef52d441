"""Test the second opinion on faces near the detector's threshold, with fake networks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from psfr_core.faces.compact import CompactDetector
from psfr_core.faces.detection_options import DetectionOptions
from psfr_core.faces.detector import make_detector
from psfr_core.faces.pyramid import ScaleRange
from psfr_core.faces.template import template_for
from psfr_core.networks.compact_face_net import CompactFaceNetOutput, cell_centers
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig
from psfr_core.parsing.labels import FaceRegion
from psfr_core.parsing.parse_map import ParseMap
from psfr_core.restoration import second_opinion
from psfr_core.restoration.second_opinion import facial_evidence, with_second_opinion

SIDE = 40  # side of the faces, pixels
PARSE_NET = ParseNet(ParseNetConfig((4, 4), 1)).eval()
# Column and row in the score map, score, and whether the parsing network labels a nose there.
PROPOSED = [
    (8, 8, 0.9, False),
    (24, 8, 0.66, True),
    (40, 8, 0.66, False),
    (56, 8, 0.45, True),
    (8, 24, 0.45, False),
    (24, 24, 0.3, True),
    (40, 24, 0.75, False),
]


class ProposingNet(nn.Module):
    """Propose the faces in PROPOSED for any image."""

    def forward(self, images: Tensor) -> CompactFaceNetOutput:
        centers = cell_centers(images.shape[2] // 4, images.shape[3] // 4, images)
        scores = torch.zeros(1, 1, *centers.shape[2:])
        for column, row, score, _ in PROPOSED:
            scores[..., row, column] = score
        corners = torch.tensor([-0.5, -0.5, 0.5, 0.5]).view(1, 4, 1, 1) * SIDE
        points = ((template_for(512) / 512 - 0.5) * SIDE).float().view(1, 10, 1, 1)
        parts = scores.logit(eps=1e-4), centers.repeat(1, 2, 1, 1) + corners, centers.repeat(1, 5, 1, 1) + points
        return CompactFaceNetOutput(*(part.expand(len(images), -1, -1, -1) for part in parts))


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the number of crops in each call of a fake parser, which labels red pixels as noses."""
    counts: list[int] = []

    def parse_faces(crops: Tensor, parse_net: ParseNet) -> ParseMap:
        counts.append(len(crops))
        return ParseMap((crops[:, 0] > 0.5).to(torch.uint8) * FaceRegion.NOSE)

    monkeypatch.setattr(second_opinion, "parse_faces", parse_faces)
    return counts


def scores(options: DetectionOptions) -> list[float]:
    image = torch.zeros(1, 3, 128, 256)
    image[:, 1] = 1
    for column, row, _, is_face in PROPOSED:
        image[..., 0, 4 * row - 8 : 4 * row + 8, 4 * column - 8 : 4 * column + 8] = float(is_face)
    detector = CompactDetector(ProposingNet().eval(), options)  # type: ignore[arg-type]
    (faces,) = with_second_opinion(detector, PARSE_NET).detect(image)
    return [round(face.score, 2) for face in faces]


def options_with(min_score: float | None, *, second_opinion: bool = True) -> DetectionOptions:
    return DetectionOptions(
        min_score=min_score, min_side=1, max_side=256, min_eye_distance=0, second_opinion=second_opinion
    )


@pytest.fixture(autouse=True)
def one_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CompactDetector, "scale_range", ScaleRange(max_face=160, coarsest_side=256))


def test_only_faces_near_the_threshold_are_parsed_and_dropped(parsed: list[int]) -> None:
    assert scores(options_with(None)) == [0.9, 0.75, 0.66, 0.45]
    assert parsed == [4]


@pytest.mark.parametrize(
    ("min_score", "found"),
    [
        (0.2, [0.9, 0.75, 0.66, 0.66, 0.45, 0.45, 0.3]),
        (0.4, [0.9, 0.75, 0.66, 0.66, 0.45]),
        (0.6, [0.9, 0.75, 0.66]),
        (0.7, [0.9, 0.75]),
        (0.8, [0.9]),
    ],
)
def test_a_given_min_score_remains_the_minimum(parsed: list[int], min_score: float, found: list[float]) -> None:
    assert scores(options_with(min_score)) == found


def test_without_a_second_opinion_only_the_score_counts(parsed: list[int]) -> None:
    assert scores(options_with(None, second_opinion=False)) == [0.9, 0.75, 0.66, 0.66]
    assert parsed == []


def test_other_detectors_get_no_second_opinion() -> None:
    detector = make_detector(nn.Identity())
    assert with_second_opinion(detector, PARSE_NET) is detector


def test_evidence_is_the_fraction_of_nose_and_brows_in_the_middle() -> None:
    labels = torch.zeros(2, 100, 100, dtype=torch.uint8)
    labels[0, 40:60, 45:55] = FaceRegion.NOSE
    labels[0, 30:32, 30:40] = FaceRegion.LEFT_BROW
    labels[0, 30:32, 60:70] = FaceRegion.RIGHT_BROW
    labels[1, :25] = FaceRegion.NOSE  # outside the middle of the face
    assert facial_evidence(ParseMap(labels)).tolist() == pytest.approx([240 / 3600, 0])
