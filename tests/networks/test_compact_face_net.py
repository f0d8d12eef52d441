from __future__ import annotations

import pytest
import torch

from psfr_core.errors import InputError
from psfr_core.networks.compact_face_net import CompactFaceNet, CompactFaceNetConfig, cell_centers

SMALL = CompactFaceNetConfig((4, 4, 6, 6, 8), 5)


def test_cells_are_centered_on_their_pixels() -> None:
    centers = cell_centers(2, 3, torch.zeros(()))
    assert centers[0, :, 1, 2].tolist() == [9.5, 5.5]  # pixels 8..11 and 4..7


@torch.no_grad()
def test_raw_values_are_converted_to_pixels() -> None:
    net = CompactFaceNet(SMALL).eval()
    logs = torch.tensor([1.0, 2.0, 4.0, 8.0]).log()
    raw = torch.cat([torch.tensor([2.0]), logs, torch.tensor([0.5, -0.25] * 5)])
    weights = net.state_dict()
    net.load_state_dict({**weights, "head.1.weight": weights["head.1.weight"] * 0, "head.1.bias": raw})
    out = net(torch.rand(1, 3, 64, 96))
    assert out.score_logits.shape == (1, 1, 16, 24)
    assert out.score_logits[0, 0, 3, 5] == 2.0
    # The cell in row 3, column 5 has the center (21.5, 13.5), sides at 8, 16, 32 and 64 pixels, and a face size of 60.
    torch.testing.assert_close(out.boxes[0, :, 3, 5], torch.tensor([13.5, -2.5, 53.5, 77.5]))
    torch.testing.assert_close(out.landmarks[0, :2, 3, 5], torch.tensor([51.5, -1.5]))
    torch.testing.assert_close(out.landmarks[0, 8:, 3, 5], torch.tensor([51.5, -1.5]))


def test_config_is_inferred_from_weights() -> None:
    assert CompactFaceNetConfig.from_state_dict(CompactFaceNet(SMALL).state_dict()) == SMALL


def test_sides_must_be_multiples_of_32() -> None:
    with pytest.raises(InputError, match="multiples of 32 pixels, got 100 x 64"):
        CompactFaceNet(SMALL)(torch.zeros(1, 3, 64, 100))
