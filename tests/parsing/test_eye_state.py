"""Test that the labels of closed eyes become skin."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from psfr_core.networks.eye_net import EyeNet
from psfr_core.parsing import eye_state
from psfr_core.parsing.eye_state import eye_windows, with_closed_eyes
from psfr_core.parsing.labels import FaceRegion
from psfr_core.parsing.parse_map import ParseMap

LEFT, RIGHT, BROW, SKIN = FaceRegion.LEFT_EYE, FaceRegion.RIGHT_EYE, FaceRegion.LEFT_BROW, FaceRegion.SKIN


def face_map(side: int = 256, *, left: bool = True, right: bool = True) -> ParseMap:
    """Return a map with the left eye at x 170, y 110 and the right eye at x 90, y 120, in 256ths of ``side``."""
    labels = torch.full((1, 256, 256), int(SKIN), dtype=torch.uint8)
    labels[:, 80:90, 150:190] = BROW
    if left:
        labels[:, 105:116, 160:181] = LEFT
    if right:
        labels[:, 115:126, 80:101] = RIGHT
    factor = 256 // side
    return ParseMap(labels[:, factor // 2 :: factor, factor // 2 :: factor])


def ramp(side: int = 256) -> Tensor:
    """Return a gray crop (1, 3, ``side``, ``side``) whose values increase from 0 on the left to 1 on the right."""
    return ((torch.arange(side) + 0.5) / side).expand(1, 3, side, side).clone()


@pytest.mark.parametrize("side", [128, 256])
@pytest.mark.parametrize("margin", [0, 4])
def test_windows_are_centered_on_the_eyes_and_the_right_one_is_mirrored(side: int, margin: int) -> None:
    windows, is_labeled = eye_windows(ramp(side), face_map(side), margin)
    assert windows.shape == (1, 2, 32 + 2 * margin, 48 + 2 * margin)
    assert is_labeled.tolist() == [[True, True]]
    center = 24 + margin
    left, right = (windows[0, eye, 10] * 256 for eye in (0, 1))
    assert left[center].item() == pytest.approx(170.5, abs=1)
    assert right[center - 1].item() == pytest.approx(90.5, abs=1)
    assert (left.diff() > 0.9).all()
    assert (right.diff() < -0.9).all()


def test_windows_at_the_border_repeat_its_pixels() -> None:
    labels = torch.zeros(1, 256, 256, dtype=torch.uint8)
    labels[:, :4, :4] = LEFT
    window = eye_windows(ramp(), ParseMap(labels)).windows[0, 0]
    assert (window[:, :20] == window[0, 0]).all()


def test_regions_of_a_few_pixels_are_not_eyes() -> None:
    parse_map = face_map(right=False)
    parse_map.labels[0, 120, 90:95] = RIGHT
    assert eye_windows(ramp(), parse_map).is_labeled.tolist() == [[True, False]]


class FixedLogits(nn.Module):
    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, windows: Tensor) -> Tensor:
        assert windows.shape == (len(self.logits), 1, 32, 48)
        return self.logits


@pytest.mark.parametrize(
    ("left", "right", "is_closed"),
    [(2.0, 2.0, True), (4.0, -0.5, True), (4.0, -2.0, False), (1.4, 1.4, False), (-5.0, -5.0, False)],
)
def test_both_eyes_decide_together(monkeypatch: pytest.MonkeyPatch, left: float, right: float, is_closed: bool) -> None:
    monkeypatch.setattr(eye_state, "_bundled_eye_net", lambda: FixedLogits(left, right))
    before = face_map()
    after = with_closed_eyes(ramp(), before).labels
    eyes = (before.labels == LEFT) | (before.labels == RIGHT)
    assert torch.equal(after, before.labels.masked_fill(eyes & is_closed, int(SKIN)))


@pytest.mark.parametrize(("logit", "is_closed"), [(2.9, False), (3.1, True)])
def test_a_single_eye_needs_the_evidence_of_two(monkeypatch: pytest.MonkeyPatch, logit: float, is_closed: bool) -> None:
    monkeypatch.setattr(eye_state, "_bundled_eye_net", lambda: FixedLogits(9.0, logit))
    after = with_closed_eyes(ramp(), face_map(left=False)).labels
    assert bool((after == RIGHT).any()) != is_closed


def test_each_face_of_a_batch_is_classified_independently(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eye_state, "_bundled_eye_net", lambda: FixedLogits(5.0, 5.0, -5.0, -5.0))
    maps = ParseMap(face_map().labels.repeat(2, 1, 1))
    after = with_closed_eyes(ramp().repeat(2, 1, 1, 1), maps).labels
    assert not ((after[0] == LEFT) | (after[0] == RIGHT)).any()
    assert torch.equal(after[1], maps.labels[1])


def test_the_network_ignores_brightness_and_contrast() -> None:
    torch.manual_seed(0)
    network = EyeNet().eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == 4081
    windows = torch.rand(3, 1, 32, 48)
    plain, faded, inverted = (network(images) for images in (windows, 0.6 * windows + 0.3, 1 - windows))
    assert (plain - faded).abs().max() < 0.2 * (plain - inverted).abs().max()
