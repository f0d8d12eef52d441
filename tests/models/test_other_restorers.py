"""Compare GFPGAN, RestoreFormer and CodeFormer files with random weights with direct calls of spandrel's networks."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from psfr_core.errors import CheckpointError, MissingPackageError, OptionError
from psfr_core.models.loader import load_face_restorer, load_generator
from psfr_core.models.other_restorers import build_restorer
from psfr_core.networks.face_restorer import OtherRestorer
from psfr_core.networks.psfr_generator import PsfrGenerator
from psfr_core.parsing.parse_map import ParseMap
from psfr_core.restoration.enhance import enhance_faces

StateDict = dict[str, Tensor]
GFPGAN_KEYS = ("toRGB.0.weight", "stylegan_decoder.style_mlp.1.weight")
CODEFORMER_KEYS = ("position_emb", "quantize.embedding.weight", "ft_layers.0.self_attn.in_proj_weight")


@pytest.fixture
def spandrel() -> Any:
    """Return the package spandrel. Skip the test if it is not installed."""
    return pytest.importorskip("spandrel", reason="needs the package spandrel")


@pytest.fixture
def restoreformer(spandrel: Any) -> StateDict:
    """Return the weights of a RestoreFormer network with few channels."""
    network = spandrel.architectures.RestoreFormer.RestoreFormer
    sizes = {"ch": 32, "ch_mult": (1, 1, 1, 1, 1, 1), "num_res_blocks": 1}
    return network(n_embed=8, embed_dim=32, z_channels=32, **sizes).state_dict()


@pytest.fixture
def crops() -> Tensor:
    """Return a random face of 512 px."""
    return torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(5))


def keys(*names: str) -> StateDict:
    return {name: torch.zeros(2, 2) for name in names}


def between_zero_and_one(output: Tensor) -> Tensor:
    """Convert the output of a network from about [-1, 1] to [0, 1], as the published programs do."""
    return (output.clamp(-1, 1) + 1) / 2


def test_a_restoreformer_file_restores_as_spandrel_does(
    tmp_path: Path, spandrel: Any, restoreformer: StateDict, crops: Tensor
) -> None:
    torch.save({"params_ema": restoreformer, "params": {"x": torch.zeros(1)}}, tmp_path / "RestoreFormer.pth")
    restorer = load_face_restorer(tmp_path / "RestoreFormer.pth")
    assert (restorer.size, restorer.uses_parse_map, restorer.training) == (512, False, False)
    expected = spandrel.ModelLoader().load_from_state_dict(restoreformer)(crops)
    torch.testing.assert_close(enhance_faces(crops, None, restorer), expected, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_a_parse_map_is_accepted_and_not_used(restoreformer: StateDict, crops: Tensor) -> None:
    restorer = build_restorer(restoreformer, "r.pth")
    small = crops[..., :100, :100]
    maps = ParseMap(torch.randint(0, 19, (1, 100, 100), dtype=torch.uint8))
    restored = enhance_faces(small, maps, restorer)
    assert restored.shape == small.shape
    assert torch.equal(restored, enhance_faces(small, None, restorer))


def test_building_is_silent_and_does_not_change_random_numbers(restoreformer: StateDict) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("error")
        restorer = build_restorer(restoreformer, "r.pth")
    assert torch.equal(torch.rand(3), expected)
    assert {tensor.device.type for tensor in restorer.state_dict().values()} == {"cpu"}


@pytest.mark.long
def test_gfpgan_restores_as_published_with_the_noise_of_the_file(spandrel: Any, crops: Tensor) -> None:
    network = spandrel.architectures.GFPGAN.GFPGAN().eval()
    for name, parameter in network.named_parameters():
        if name.endswith(("style_conv1.weight", "conv.weight")) and parameter.numel() == 1:
            nn.init.constant_(parameter, 0.1)  # the strength of the noise, which is 0 before training
    restorer = build_restorer(network.state_dict(), "GFPGANv1.4.pth")
    restored = enhance_faces(crops, None, restorer)
    with torch.no_grad():
        expected = between_zero_and_one(network(crops * 2 - 1, return_rgb=False, randomize_noise=False)[0])
    torch.testing.assert_close(restored, expected, atol=1e-5, rtol=0)


@pytest.mark.long
def test_codeformer_restores_as_published_with_its_fidelity(crops: Tensor) -> None:
    extra: Any = pytest.importorskip("spandrel_extra_arches", reason="needs the package spandrel_extra_arches")
    network = extra.architectures.CodeFormer.CodeFormer().eval()
    assert build_restorer(network.state_dict(), "codeformer.pth").settings == {"weight": 0.5}
    restored = enhance_faces(crops, None, build_restorer(network.state_dict(), "codeformer.pth", 0.9))
    with torch.no_grad():
        expected = between_zero_and_one(network(crops * 2 - 1, weight=0.9)[0])
    torch.testing.assert_close(restored, expected, atol=1e-5, rtol=0)


def test_a_psfr_gan_generator_is_a_face_restorer(tmp_path: Path, generator: PsfrGenerator) -> None:
    save_file(generator.state_dict(), tmp_path / "g.safetensors")
    loaded = load_face_restorer(tmp_path / "g.safetensors")
    assert isinstance(loaded, PsfrGenerator)
    assert loaded.config == load_generator(tmp_path / "g.safetensors").config == generator.config
    assert loaded.size == 64


def test_a_fidelity_without_effect_is_logged(
    generator: PsfrGenerator, caplog: pytest.LogCaptureFixture, crops: Tensor
) -> None:
    build_restorer(generator.state_dict(), "g.safetensors", 0.7)
    assert "fidelity has no effect on g.safetensors, which is a PSFR-GAN generator" in caplog.text
    with pytest.raises(OptionError, match=r"fidelity must be a number from 0 to 1 or None, got 1\.5"):
        build_restorer(generator.state_dict(), "g.safetensors", 1.5)


@pytest.mark.parametrize(
    ("names", "package", "words"),
    [
        (GFPGAN_KEYS, "spandrel", "GFPGAN needs the package spandrel, which"),
        (CODEFORMER_KEYS, "spandrel_extra_arches", "CodeFormer needs the package spandrel_extra_arches, which"),
    ],
)
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], package: str, words: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=words):
        build_restorer(keys(*names), "x.pth")


def test_an_incomplete_file_is_named(spandrel: Any, restoreformer: StateDict) -> None:
    del restoreformer["decoder.conv_out.bias"]
    with pytest.raises(
        CheckpointError, match=r"r\.pth looks like a RestoreFormer restorer but .*decoder\.conv_out\.bias"
    ):
        build_restorer(restoreformer, "r.pth")
    with pytest.raises(CheckpointError, match=r"x\.pth looks like a GFPGAN restorer but is incomplete") as long:
        build_restorer(keys(*GFPGAN_KEYS), "x.pth")
    assert len(str(long.value)) < 400


def test_an_upscaler_is_named(spandrel: Any) -> None:
    upscaler = spandrel.architectures.Compact.Compact(num_feat=8, num_conv=2)
    with pytest.raises(
        CheckpointError,
        match=r"4x\.pth is an unknown network .*RestoreFormer.* is needed.*recognizes it as RealESRGAN Compact",
    ):
        build_restorer(upscaler.state_dict(), "4x.pth")


def test_an_unknown_file_needs_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(CheckpointError, match=r"x\.pth is an unknown network .* or a CodeFormer restorer is needed"):
        build_restorer(keys("some.layer"), "x.pth")


def test_program_code_in_a_file_is_refused(tmp_path: Path, restoreformer: StateDict) -> None:
    torch.save({"params_ema": restoreformer, "args": OtherRestorer}, tmp_path / "r.pth")
    with pytest.raises(
        CheckpointError, match=r"it contains program code \(psfr_core\.networks\.face_restorer\.OtherRestorer\)"
    ):
        load_face_restorer(tmp_path / "r.pth")
