"""Test the training of the network that distinguishes closed from open eyes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from psfr_core.lab.degradation.closed_eyes import close_eyes
from psfr_core.lab.training.eye_net import train_eye_net
from psfr_core.lab.training.face_samples import FaceSet, load_face_set
from psfr_core.models.loader import load_parse_net
from psfr_core.networks.eye_net import EyeNet
from psfr_core.networks.parse_net import ParseNet
from psfr_core.parsing.eye_state import eye_windows
from psfr_core.parsing.labels import FaceRegion
from psfr_core.parsing.parse_map import ParseMap
from psfr_core.parsing.parser import region_scores

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    return load_face_set([DATA / "faces"], [DATA / "labels"], 256)


@pytest.fixture(scope="module")
def parse_net() -> ParseNet:
    return load_parse_net("parsenet-256").float()


def eye_logits(network: EyeNet, image: Tensor, parse_net: ParseNet) -> list[float]:
    """Return the logits of all eyes that the parser finds."""
    with torch.no_grad():
        parse_map = ParseMap.from_logits(region_scores(image[None], parse_net))
        windows, is_labeled = eye_windows(image[None], parse_map)
        return network(windows[is_labeled][:, None]).tolist()


@pytest.mark.slow
def test_training_separates_drawn_lids_from_open_eyes(faces: FaceSet, parse_net: ParseNet) -> None:
    network = train_eye_net(faces, parse_net, epochs=400)
    assert not network.training
    opened: list[float] = []
    closed: list[float] = []
    for index in range(len(faces)):
        pixels, labels = faces.face(index)
        image = pixels.float() / 255
        # with these seeds, the lids are those of the training
        drawn, found = close_eyes(image, labels, torch.Generator().manual_seed(index))
        opened += eye_logits(network, image, parse_net)
        if not ((found == FaceRegion.LEFT_EYE) | (found == FaceRegion.RIGHT_EYE)).any():
            closed += eye_logits(network, drawn, parse_net)
    assert (len(opened), len(closed)) == (8, 6)
    assert max(opened) < min(closed)


@pytest.mark.slow
def test_training_is_reproducible_and_keeps_the_global_random_state(faces: FaceSet, parse_net: ParseNet) -> None:
    first = FaceSet(faces.images[:1], faces.labels[:1])
    state = torch.get_rng_state()
    one, other, third = (train_eye_net(first, parse_net, epochs=8, seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(one["conv1.weight"], third["conv1.weight"])
