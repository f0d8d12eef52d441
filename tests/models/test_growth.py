"""Test that networks start with the outputs of smaller ones."""

from __future__ import annotations

import pytest
import torch

from psfr_core.errors import OptionError
from psfr_core.models.growth import grow_generator, grow_parse_net
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator


@pytest.mark.parametrize("new_stages", [(4,), (5, 3)])
def test_a_new_stage_starts_as_an_upsampling_of_the_old_output(new_stages: tuple[int, ...]) -> None:
    small, large = PsfrGenerator(GeneratorConfig((8, 6), 4)), PsfrGenerator(GeneratorConfig((8, 6, *new_stages), 5))
    edges = torch.ones(3, 3, dtype=torch.bool)
    edges[1, 1] = False
    # off-center weights get other neighbors at the doubled size, so they are set to 0
    small.get_parameter("img_out.weight").data[..., edges] = 0
    grow_generator(large, small)
    lq, parse_map = torch.rand(2, 3, 128, 128), torch.rand(2, 19, 128, 128)
    output = large(lq, parse_map)
    doubled = torch.nn.functional.interpolate(small(lq, parse_map), scale_factor=2 ** len(new_stages), mode="nearest")
    torch.testing.assert_close(output, doubled, atol=1e-5, rtol=0)
    output.square().mean().backward()
    assert all(parameter.grad is not None for parameter in large.parameters())


def test_generators_that_cannot_grow_are_rejected() -> None:
    large = PsfrGenerator(GeneratorConfig((8, 6, 4), 4))
    for channels, residual in [((8, 8), False), ((8, 6), True), ((8, 6, 4, 4), False)]:
        with pytest.raises(OptionError, match="at least as wide, new stages need at least 3 channels, and it must be"):
            grow_generator(large, PsfrGenerator(GeneratorConfig(channels, 4, residual)))
    with pytest.raises(OptionError, match="new stages need at least 3 channels"):
        grow_generator(PsfrGenerator(GeneratorConfig((8, 2), 4)), PsfrGenerator(GeneratorConfig((8,), 4)))


@pytest.mark.parametrize("residual", [False, True])
def test_a_wider_generator_starts_with_the_output_of_the_narrow_one(residual: bool) -> None:
    narrow = PsfrGenerator(GeneratorConfig((8, 6), 4, residual))
    wide = PsfrGenerator(GeneratorConfig((10, 9), 7, residual))
    lq, parse_map = torch.rand(2, 3, 32, 32), torch.rand(2, 19, 32, 32)
    grow_generator(wide, narrow)
    output = wide(lq, parse_map)
    torch.testing.assert_close(output, narrow(lq, parse_map), atol=1e-5, rtol=0)
    output.square().mean().backward()
    assert all(parameter.grad is not None for parameter in wide.parameters())
    new_channels = wide.get_parameter("img_out.weight").grad[:, 6:]  # type: ignore[index]
    assert new_channels.abs().min() > 0  # new channels receive gradients


def test_a_residual_generator_starts_with_its_input() -> None:
    plain = PsfrGenerator(GeneratorConfig((8, 6), 4))
    residual = PsfrGenerator(GeneratorConfig((8, 6), 4, residual=True))
    grow_generator(residual, plain)
    lq = torch.rand(1, 3, 32, 32)
    assert torch.equal(residual(lq, torch.rand(1, 19, 32, 32)), lq)
    assert torch.equal(residual.head[1].conv_0.weight, plain.head[1].conv_0.weight)  # type: ignore[index]


@pytest.mark.parametrize("is_training", [False, True])
def test_a_wider_parsing_network_starts_with_the_output_of_the_narrow_one(is_training: bool) -> None:
    narrow = ParseNet(ParseNetConfig((4, 6), 2)).train(is_training)
    wide = ParseNet(ParseNetConfig((5, 8), 2)).train(is_training)
    faces = torch.rand(2, 3, 64, 64)
    grow_parse_net(wide, narrow)
    logits, image = wide(faces)
    narrow_logits, narrow_image = narrow(faces)
    torch.testing.assert_close(logits, narrow_logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(image, narrow_image, atol=1e-5, rtol=0)
    logits.square().mean().backward()
    new_channels = wide.get_parameter("out_mask_conv.conv2d.weight").grad[:, 4:]  # type: ignore[index]
    assert new_channels.abs().min() > 0  # new channels receive gradients


@pytest.mark.parametrize("config", [ParseNetConfig((4, 4), 2), ParseNetConfig((4, 6), 3), ParseNetConfig((4, 6, 6), 2)])
def test_a_parsing_network_that_cannot_grow_is_rejected(config: ParseNetConfig) -> None:
    with pytest.raises(
        OptionError, match="as many stages and residual blocks, and its stages must be at least as wide"
    ):
        grow_parse_net(ParseNet(config), ParseNet(ParseNetConfig((4, 6), 2)))
