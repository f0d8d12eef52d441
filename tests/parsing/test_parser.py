import math
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from psfr_core.errors import InputError, OptionError, PsfrError
from psfr_core.networks.inference.optimize import optimize_for_inference
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig
from psfr_core.parsing.parser import parse_faces


class FakeNet(ParseNet):
    """A parsing network that labels red pixels as skin and others as hair, and records its inputs."""

    def __init__(self, size):
        super().__init__(ParseNetConfig((1,) * (size // 32).bit_length(), residual_blocks=0))
        self.eval()
        self.given = []

    def parse_logits(self, lq):
        assert lq.shape[-2:] == (self.config.size, self.config.size)
        assert not self.training
        assert not torch.is_grad_enabled()
        self.given.append(lq)
        logits = lq.new_zeros(lq.shape[0], 19, *lq.shape[-2:])
        logits[:, 1] = lq[:, 0]
        logits[:, 13] = -lq[:, 0]
        return logits


def half_red(batch, side):
    crops = torch.zeros(batch, 3, side, side)
    crops[:, 0, :, : side // 4] = 1
    return crops


@pytest.mark.parametrize("side", [32, 64, 128])
@pytest.mark.parametrize("net_side", [32, 64])
def test_labels_have_the_size_of_the_crops(side, net_side):
    net = FakeNet(net_side)
    parse_map = parse_faces(half_red(3, side), net, batch_size=2)
    assert parse_map.labels.shape == (3, side, side)
    assert [len(batch) for batch in net.given] == [2, 1]
    assert (parse_map.labels[:, :, : side // 4] == 1).all()
    assert (parse_map.labels[:, :, side // 4 :] == 13).all()


def test_inputs_of_the_network_are_scaled_to_minus_one_to_one():
    net = FakeNet(32)
    parse_faces(torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1).expand(1, 3, 32, 32), net)
    assert net.given[0].mean(dim=(0, 2, 3)).tolist() == [-1.0, 0.0, 1.0]


def test_network_in_training_mode_raises_and_is_not_changed():
    """Do not even change the mode temporarily, because other threads may be using the network."""
    net = ParseNet(ParseNetConfig((8, 8), residual_blocks=1)).eval()
    net.body.train()
    with pytest.raises(InputError, match=r"The parser is in training mode. Call eval\(\) first"):
        parse_faces(half_red(1, 64), net)
    assert (net.training, net.body.training) == (False, True)


def test_threads_can_share_a_network():
    net = ParseNet(ParseNetConfig((4, 4), residual_blocks=1)).eval()
    crops = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = parse_faces(crops, net).labels
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: parse_faces(crops, net).labels, range(40)))
    assert all(torch.equal(labels, expected) for labels in found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_labels_are_the_argmax_of_the_logits(dtype):
    torch.manual_seed(0)
    net = ParseNet(ParseNetConfig((8, 8), residual_blocks=1)).eval()
    crops = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = net(crops * 2 - 1)[0].argmax(dim=1)
    labels = parse_faces(crops, net.to(dtype)).labels
    assert (labels == expected).float().mean() > (0.999 if dtype is torch.float32 else 0.9)


def test_labels_do_not_depend_on_the_batch_size():
    torch.manual_seed(0)
    net = ParseNet(ParseNetConfig((8, 8), residual_blocks=1)).eval()
    crops = torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    assert (parse_faces(crops, net, 1).labels == parse_faces(crops, net, 3).labels).float().mean() > 0.999


@pytest.mark.parametrize(
    ("crops", "words"),
    [
        (torch.zeros(3, 32, 32), "crops must have the shape (B, 3, S, S), got (3, 32, 32)"),
        (torch.zeros(1, 3, 32, 40), "crops must have the shape (B, 3, S, S), got (1, 3, 32, 40)"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), "crops must have a floating point dtype"),
    ],
)
def test_invalid_crops_raise(crops, words):
    with pytest.raises(InputError, match=re.escape(words)):
        parse_faces(crops, FakeNet(32))


def test_batch_size_0_raises():
    with pytest.raises(OptionError, match="batch_size must be an integer from 1 to 4096 or None, got 0"):
        parse_faces(half_red(1, 32), FakeNet(32), batch_size=0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_crops_that_are_not_finite_raise_before_the_network_runs(value):
    net, crops = FakeNet(32), half_red(2, 32)
    crops[1, 2, 3, 4] = value
    with pytest.raises(InputError, match="crops must be finite, got NaN or infinity. The previous step"):
        parse_faces(crops, net)
    assert net.given == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_labels_do_not_depend_on_autocast(dtype):
    net = optimize_for_inference(ParseNet(ParseNetConfig((8, 8), residual_blocks=1)).eval(), "cpu", dtype)
    crops = half_red(1, 64)
    expected = parse_faces(crops, net).labels
    with torch.autocast("cpu"):
        assert torch.equal(parse_faces(crops, net).labels, expected)


def test_network_output_that_is_not_finite_raises():
    net = ParseNet(ParseNetConfig((8, 8), residual_blocks=1)).eval().half()
    last = list(net.parameters())[-1]
    last.data.fill_(torch.inf)
    with pytest.raises(PsfrError, match=r"parser returned NaN or infinity in torch.float16. Load it in float32 or"):
        parse_faces(half_red(1, 64), net)
