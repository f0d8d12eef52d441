"""Networks keep their own precision under autocast and reject inputs of another dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from psfr_core.errors import InputError
from psfr_core.lab.metrics.frechet import ImageNetFeatures
from psfr_core.lab.metrics.identity import CosineIdentity, FaceChip
from psfr_core.lab.metrics.image_features import Backbone, ImageFeatures
from psfr_core.lab.metrics.lpips import Lpips
from psfr_core.lab.metrics.ssim import ssim
from psfr_core.networks.compact_face_net import CompactFaceNet, CompactFaceNetConfig
from psfr_core.networks.inference.autocast import without_autocast
from psfr_core.networks.inference.optimize import optimize_for_inference
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "generator": lambda: PsfrGenerator(GeneratorConfig((8, 8, 6), 6)).eval(),
    "parser": lambda: ParseNet(ParseNetConfig((8, 8), 1)).eval(),
    "detector": lambda: CompactFaceNet(CompactFaceNetConfig((4, 4, 4, 4, 4), 4)).eval(),
}


def inputs(network: nn.Module, dtype: torch.dtype) -> list[Tensor]:
    shapes = [(1, 3, 64, 64), (1, 19, 64, 64)] if isinstance(network, PsfrGenerator) else [(1, 3, 64, 64)]
    return [torch.rand(shape).to(dtype) for shape in shapes]


def outputs(result: Any) -> list[Tensor]:
    return [result] if isinstance(result, Tensor) else list(result)


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_autocast_is_off_inside_and_restored_afterwards(device: str) -> None:
    torch.set_autocast_enabled(device, True)  # torch.autocast rejects unavailable devices
    try:
        with without_autocast(torch.device(device)):
            assert not torch.is_autocast_enabled(device)
        assert torch.is_autocast_enabled(device)
    finally:
        torch.set_autocast_enabled(device, False)


def test_devices_without_autocast_are_supported() -> None:
    with without_autocast(torch.device("meta")):
        assert torch.zeros(1, device="meta").device.type == "meta"


@pytest.mark.parametrize("name", ["generator", "parser"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_optimized_networks_ignore_autocast(name: str, dtype: torch.dtype) -> None:
    network = optimize_for_inference(NETWORKS[name](), "cpu", dtype)
    given = inputs(network, dtype)
    expected = outputs(network(*given))
    with torch.autocast("cpu", torch.bfloat16):
        found = outputs(network(*given))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, expected, strict=True))


def lpips() -> Lpips:
    taps = ("relu1", "relu2", "relu3", "relu4", "relu5")
    heads = [torch.rand(channels) for channels in (64, 192, 384, 256, 256)]
    return Lpips(ImageFeatures(Backbone.ALEXNET, taps), heads).eval()


def identity() -> CosineIdentity:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16**2, 4))
    return CosineIdentity(network, FaceChip(0.1, 0.1, 0.8, 16), "a random layer")


@pytest.mark.parametrize(
    ("metric", "side"),
    [
        (lpips(), 40),
        (lambda images, _: ImageNetFeatures(ImageFeatures(Backbone.ALEXNET, ("relu2",)).eval())(images), 40),
        (lambda images, _: identity().embed(images), 64),
        (ssim, 40),
    ],
    ids=["lpips", "frechet", "identity", "ssim"],
)
def test_metrics_ignore_autocast(metric: Callable[[Tensor, Tensor], Tensor], side: int) -> None:
    images, references = torch.rand(2, 1, 3, side, side)

    def measured() -> Tensor:
        torch.manual_seed(0)
        return metric(images, references)

    expected = measured()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(measured(), expected)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("optimized", [False, True])
def test_inputs_of_another_dtype_raise(name: str, optimized: bool) -> None:
    network = NETWORKS[name]()
    network = optimize_for_inference(network, "cpu", torch.bfloat16) if optimized else network.to(torch.bfloat16)
    with pytest.raises(InputError, match="must be torch.bfloat16 on cpu like the weights .* got torch.float32 on cpu"):
        network(*inputs(network, torch.float32))


def test_networks_with_input_checks_can_be_exported() -> None:
    network = NETWORKS["parser"]()
    given = inputs(network, torch.float32)
    exported = torch.export.export(network, tuple(given)).module()
    torch.testing.assert_close(outputs(exported(*given)), outputs(network(*given)))
