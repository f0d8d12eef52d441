from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from psfr_core.errors import InputError, OptionError
from psfr_core.faces.face import Face
from psfr_core.networks.face_restorer import OtherRestorer
from psfr_core.networks.inference.optimize import fastest_dtype, optimize_for_inference
from psfr_core.restoration.enhance import enhance_faces
from psfr_core.restoration.restoration_models import RestorationModels
from psfr_core.restoration.restore import restore_image
from psfr_core.restoration.restore_options import RestoreOptions


class Inverted(nn.Module):
    """Invert faces. Like GFPGAN, this network returns several values and has a weight with five axes."""

    def __init__(self) -> None:
        super().__init__()
        self.sign = nn.Parameter(torch.full((1, 1, 1, 1, 1), -1.0))

    def forward(self, lq: Tensor, brightness: float = 0.0) -> tuple[Tensor, None]:
        assert lq.shape[1:] == (3, 512, 512)
        return lq * self.sign[0] + brightness, None


def inverted(brightness: float = 0.0) -> OtherRestorer:
    return OtherRestorer(Inverted(), {"brightness": brightness}, (torch.float32,)).eval()


def test_faces_are_restored_in_the_range_of_the_network() -> None:
    crops = torch.rand(2, 3, 512, 512)
    torch.testing.assert_close(enhance_faces(crops, None, inverted()), 1 - crops)
    torch.testing.assert_close(enhance_faces(crops, None, inverted(0.5)), (1.25 - crops).clamp(0, 1))


def test_other_restorers_run_in_the_whole_pipeline(models: RestorationModels, two_faces: list[Face]) -> None:
    image = torch.rand(3, 120, 160)
    others = RestorationModels(inverted(), models.parse_net, models.detector)
    result = restore_image(image, others, RestoreOptions(guard=False), faces=two_faces)
    assert others.crop_size == result.restored.shape[-1] == 512
    untouched = (result.mask == 0).expand_as(image)
    assert torch.equal(result.image[untouched], image[untouched])
    assert (result.image - image).abs().max() > 0.1


def test_generators_that_need_a_parse_map_raise_without_one(models: RestorationModels) -> None:
    with pytest.raises(InputError, match="parse_map must be of type ParseMap, got a NoneType"):
        enhance_faces(torch.rand(1, 3, 64, 64), None, models.generator)


def test_other_restorers_compute_in_their_own_precision() -> None:
    assert fastest_dtype("cpu", inverted()) == torch.float32
    crops = torch.rand(1, 3, 512, 512)
    fast = optimize_for_inference(inverted(), "cpu", torch.float32)
    torch.testing.assert_close(enhance_faces(crops, None, fast), 1 - crops)
    with pytest.raises(OptionError, match=r"This restorer computes in torch\.float32 only, got torch\.bfloat16"):
        optimize_for_inference(inverted(), "cpu", torch.bfloat16)
