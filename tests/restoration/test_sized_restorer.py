"""Test that each face is restored by the generator for its size."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from psfr_core.faces.align import crop_side
from psfr_core.faces.face import Face
from psfr_core.faces.template import template_for
from psfr_core.images.box import Box
from psfr_core.networks.face_restorer import FaceRestorer
from psfr_core.networks.inference.optimize import optimize_for_inference
from psfr_core.networks.sized_restorer import SizedRestorer
from psfr_core.parsing.parse_map import ParseMap
from psfr_core.restoration.color_match import ColorMatch
from psfr_core.restoration.enhance import enhance_faces
from psfr_core.restoration.restoration_models import RestorationModels, load_models
from psfr_core.restoration.restore import restore_image
from psfr_core.restoration.restore_options import RestoreOptions


class Constant(FaceRestorer):
    """A restorer that returns faces of one gray level, and counts them."""

    uses_parse_map = False

    def __init__(self, side: int, level: float) -> None:
        super().__init__()
        self.level = torch.nn.Parameter(torch.tensor(level), requires_grad=False)
        self.side, self.faces = side, 0

    @property
    def size(self) -> int:
        return self.side

    def forward(self, lq: Tensor, parse_one_hot: Tensor | None = None) -> Tensor:
        assert lq.shape[1:] == (3, self.side, self.side)
        self.faces += len(lq)
        return self.level.expand_as(lq)


def face_of_side(left: float, top: float, side: int) -> Face:
    landmarks = template_for(side) + torch.tensor([left, top])
    return Face(Box(left, top, left + side, top + side), landmarks, 0.9)


@pytest.fixture
def restorer() -> SizedRestorer:
    return SizedRestorer(Constant(32, -1.0), Constant(64, 1.0), 40.0).eval()


@pytest.mark.parametrize("side", [24, 100, 640])
def test_the_side_of_a_crop_is_in_pixels_of_the_image(side: int) -> None:
    assert crop_side(face_of_side(10.0, 20.0, side)) == pytest.approx(side, rel=1e-3)


def test_each_face_is_restored_by_the_generator_for_its_size(restorer: SizedRestorer) -> None:
    progress: list[int] = []
    restored = enhance_faces(
        torch.full((5, 3, 48, 48), 0.5),
        None if not restorer.uses_parse_map else ParseMap(torch.zeros(5, 48, 48, dtype=torch.uint8)),
        restorer,
        sides=[40.0, 41.0, 20.0, 300.0, 10.0],
        batch_size=2,
        progress=lambda done, total: progress.append(done),
    )
    assert restored.mean((1, 2, 3)).tolist() == [0.0, 1.0, 0.0, 1.0, 0.0]
    assert progress == [2, 3, 5]
    # By default, the side is that of the crop.
    assert enhance_faces(torch.full((1, 3, 48, 48), 0.5), None, restorer).mean() == 1.0
    assert enhance_faces(torch.full((1, 3, 40, 40), 0.5), None, restorer).mean() == 0.0


def test_crops_have_the_size_of_the_largest_generator_needed(restorer: SizedRestorer) -> None:
    models = RestorationModels(restorer, load_models().parse_net, load_models().detector)
    options = RestoreOptions(color_match=ColorMatch.NONE, guard=False)
    image = torch.full((3, 160, 160), 0.5)
    small, large = face_of_side(2.0, 2.0, 30), face_of_side(50.0, 50.0, 80)
    both = restore_image(image, models, options, faces=[small, large])
    assert both.restored.shape == (2, 3, 64, 64)
    assert both.restored.mean((1, 2, 3)).tolist() == [0.0, 1.0]
    only_small = restore_image(image, models, options, faces=[small])
    assert only_small.restored.shape == (1, 3, 32, 32)
    assert models.crop_size == 64


@pytest.mark.slow
def test_the_bundled_generators_are_both_optimized_and_used() -> None:
    models = load_models()
    assert isinstance(models.generator, SizedRestorer)
    assert [network.size for network in (models.generator.small, models.generator.large)] == [256, 512]
    plain = load_models("psfrgan-256", dtype=torch.float32)
    crops = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    parse_map = ParseMap(torch.ones(1, 256, 256, dtype=torch.uint8))
    sized = load_models(dtype=torch.float32).generator
    expected = enhance_faces(crops, parse_map, plain.generator)
    assert torch.equal(enhance_faces(crops, parse_map, sized, sides=[300.0]), expected)
    assert not torch.equal(enhance_faces(crops, parse_map, sized, sides=[301.0]), expected)
    assert (
        optimize_for_inference(SizedRestorer(Constant(8, 0.0), Constant(16, 0.0), 8), "cpu", torch.float32).size == 16
    )
