from __future__ import annotations

from types import ModuleType

import pytest
import torch

from psfr_core.errors import InputError
from psfr_core.networks.parse_net import PUBLISHED_PARSE_NET, ParseNet, ParseNetConfig

SMALL = ParseNetConfig((4, 6, 8), 2)


@pytest.mark.slow
@pytest.mark.facexlib
@torch.no_grad()
def test_equals_the_published_parsing_network(golden: ModuleType) -> None:
    net = ParseNet(PUBLISHED_PARSE_NET).eval()
    net.load_state_dict(golden.state_dict("parsenet"))
    logits, image = net(golden.image("generator/lq", 1, 512))
    expected = golden.expected("parsenet/logits_stride8")
    tolerance = 1e-4 * (expected.max() - expected.min())
    assert (logits[..., ::8, ::8] - expected).abs().max() <= tolerance
    assert (image[..., ::8, ::8] - golden.expected("parsenet/image_stride8")).abs().max() <= 1e-4
    matches = logits.argmax(1)[..., ::4, ::4] == golden.expected("parsenet/argmax_stride4")
    assert matches.float().mean() >= 0.9999


@torch.no_grad()
def test_equals_facexlib() -> None:
    parsenet = pytest.importorskip("facexlib.parsing.parsenet")
    theirs = parsenet.ParseNet(64, 64, 32, 8, 19, 3, ch_range=[4, 16]).eval()
    for name, buffer in theirs.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    ours = ParseNet(ParseNetConfig.from_state_dict(theirs.state_dict())).eval()
    ours.load_state_dict(theirs.state_dict())
    assert ours.config == ParseNetConfig((8, 16), 3)
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    for our_output, their_output in zip(ours(image), theirs(image), strict=True):
        torch.testing.assert_close(our_output, their_output, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("config", [ParseNetConfig((4,), 0), SMALL, ParseNetConfig((4, 8, 8, 8), 3)])
def test_config_is_inferred_from_weights(config: ParseNetConfig) -> None:
    assert ParseNetConfig.from_state_dict(ParseNet(config).state_dict()) == config


def test_size_depends_on_the_number_of_stages() -> None:
    assert (SMALL.size, PUBLISHED_PARSE_NET.size) == (128, 512)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 1, 128, 128), r"lq must have the shape \(B, 3, H, W\)"),
        ((1, 3, 130, 128), "multiples of 4 pixels, got 128 x 130"),
    ],
)
def test_invalid_inputs_raise(shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        ParseNet(SMALL)(torch.zeros(shape))
