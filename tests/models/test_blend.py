"""Test the interpolation of two networks."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from psfr_core.errors import OptionError
from psfr_core.models.architectures import PSFR_GENERATOR
from psfr_core.models.blend import blend_weights
from psfr_core.models.loader import load_generator, load_parse_net
from psfr_core.models.metadata import WeightMetadata, read_metadata, write_weights
from psfr_core.networks.compact_face_net import CompactFaceNet, CompactFaceNetConfig
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator


def write_generator(path: Path, channels: tuple[int, ...] = (6, 4), licence: str = "CC0-1.0") -> Path:
    torch.manual_seed(len(path.stem))
    weights = PsfrGenerator(GeneratorConfig(channels, 4)).state_dict()
    write_weights(
        path, weights, WeightMetadata(PSFR_GENERATOR.name, PSFR_GENERATOR.config(weights), licence, path.stem)
    )
    return path


def write_network(path: Path, network: nn.Module) -> Path:
    save_file(network.state_dict(), path)
    return path


def test_weights_are_interpolated(tmp_path: Path) -> None:
    one, other = write_generator(tmp_path / "one.safetensors"), write_generator(tmp_path / "other.safetensors")
    target = tmp_path / "new" / "blend.safetensors"
    digest = blend_weights(one, other, target, amount=0.25)
    assert digest == hashlib.sha256(target.read_bytes()).hexdigest()
    first, second, found = load_file(one), load_file(other), load_file(target)
    assert list(found) == list(first)
    for key, value in found.items():
        torch.testing.assert_close(value, 0.75 * first[key] + 0.25 * second[key])
    assert load_generator(target).config.channels == (6, 4)
    metadata = read_metadata(target)
    assert metadata is not None
    assert (metadata.licence, metadata.source) == ("CC0-1.0", "0.75 of one and 0.25 of other")
    blend_weights(one, other, target, amount=1, half=True, overwrite=True)
    for key, value in load_file(target).items():
        assert torch.equal(value, second[key].half())


def test_smaller_network_grows_before_it_is_blended(tmp_path: Path) -> None:
    narrow, wide = write_generator(tmp_path / "one.safetensors"), write_generator(tmp_path / "wide.safetensors", (8, 5))
    target = tmp_path / "blend.safetensors"
    faces, parse_maps = torch.rand(2, 3, 32, 32), torch.rand(2, 19, 32, 32)
    for amount, same in [(0, narrow), (1, wide)]:
        blend_weights(narrow, wide, target, amount=amount, overwrite=True)
        output, expected = (load_generator(path)(faces, parse_maps) for path in (target, same))
        torch.testing.assert_close(output, expected, atol=1e-5, rtol=0)
    blend_weights(narrow, wide, target, amount=0.25, overwrite=True)
    initial, trained, found = (load_file(path)["img_out.weight"] for path in (narrow, wide, target))
    torch.testing.assert_close(found[:, :4], 0.75 * initial + 0.25 * trained[:, :4])
    torch.testing.assert_close(found[:, 4:], 0.25 * trained[:, 4:])  # new channels have no effect in the grown network
    narrow_parser, wide_parser = (
        write_network(tmp_path / f"{width}.safetensors", ParseNet(ParseNetConfig((width, 8), 1))) for width in (4, 6)
    )
    blend_weights(narrow_parser, wide_parser, target, amount=0, overwrite=True)
    output, expected = (load_parse_net(path)(faces)[0] for path in (target, narrow_parser))
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=0)


def test_both_licenses_are_kept(tmp_path: Path) -> None:
    one = write_generator(tmp_path / "one.safetensors")
    other = write_generator(tmp_path / "other.safetensors", licence="MIT")
    blend_weights(one, other, tmp_path / "blend.safetensors")
    metadata = read_metadata(tmp_path / "blend.safetensors")
    assert metadata is not None
    assert metadata.licence == "CC0-1.0 and MIT"


def test_errors_say_why_networks_cannot_be_blended(tmp_path: Path, parse_net: ParseNet) -> None:
    one, wide = write_generator(tmp_path / "one.safetensors"), write_generator(tmp_path / "wide.safetensors", (6, 5))
    target, parser = tmp_path / "blend.safetensors", write_network(tmp_path / "parser.safetensors", parse_net)
    detectors = [
        write_network(tmp_path / f"{width}.safetensors", CompactFaceNet(CompactFaceNetConfig(merged_channels=width)))
        for width in (4, 8)
    ]
    for first, other, amount, words in [
        (one, one, 1.5, "must be 0 to 1, got 1.5"),
        (wide, one, 0.5, "its stages must be at least as wide"),
        (one, parser, 0.5, "parser.safetensors is parse_net with"),
        (*detectors, 0.5, "Detectors of different sizes cannot be blended"),
    ]:
        with pytest.raises(OptionError, match=re.escape(words)):
            blend_weights(first, other, target, amount=amount)
    assert not target.exists()
    with pytest.raises(OptionError, match="exists already"):
        blend_weights(one, one, wide)
