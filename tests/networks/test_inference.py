"""Compare optimized networks with the plain networks."""

from __future__ import annotations

import copy
import threading
from types import ModuleType
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn

from psfr_core.errors import OptionError
from psfr_core.models.retinaface_network import build_retinaface
from psfr_core.models.state_dict import fold_spectral_norm
from psfr_core.networks.compact_face_net import CompactFaceNet
from psfr_core.networks.inference import convolution
from psfr_core.networks.inference import strips as strips_of_maps
from psfr_core.networks.inference.optimize import fastest_dtype, fold_batch_norm, optimize_for_inference
from psfr_core.networks.parse_net import PUBLISHED_PARSE_NET, ParseNet, ParseNetConfig
from psfr_core.networks.psfr_generator import PUBLISHED_GENERATOR, GeneratorConfig, PsfrGenerator

N = TypeVar("N", bound=nn.Module)

GENERATORS = [
    GeneratorConfig((24,), 7),
    GeneratorConfig((32, 20, 12), 16),
    GeneratorConfig((8, 6, 4, 3, 2), 5, residual=True),
]
PARSE_NETS = [ParseNetConfig((4,), 0), ParseNetConfig((8, 20), 3), ParseNetConfig((4, 6, 8, 8), 1)]


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(params=["packed", "standard"])
def operators(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test with and without oneDNN operators."""
    if request.param == "standard":
        monkeypatch.setattr(convolution, "can_pack", lambda dtype: False)
    elif not convolution.can_pack(torch.float32):
        pytest.skip("this PyTorch has no oneDNN")


@pytest.fixture(params=["whole maps", "few rows"])
def strips(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test with whole maps and with strips of uneven height."""
    if request.param == "few rows":
        monkeypatch.setattr(strips_of_maps, "_STRIP_BYTES", 20_000)


def with_random_batch_norm(network: N) -> N:
    """Randomize the batch norms of ``network`` and switch it to evaluation mode."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.get_buffer("running_mean").normal_(0, 0.3)
            module.get_buffer("running_var").uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.3)
    return network.eval()


def face(batch: int, side: int) -> tuple[Tensor, Tensor]:
    labels = torch.randint(0, 19, (batch, side, side))
    return torch.rand(batch, 3, side, side) * 2 - 1, nn.functional.one_hot(labels, 19).permute(0, 3, 1, 2).float()


def optimized(network: N, dtype: torch.dtype = torch.float32) -> N:
    return optimize_for_inference(copy.deepcopy(network), "cpu", dtype)


@pytest.mark.slow
@pytest.mark.usefixtures("operators", "strips")
@pytest.mark.parametrize("config", GENERATORS, ids=str)
@pytest.mark.parametrize("batch", [1, 3])
def test_optimized_generator_equals_the_plain_one(config: GeneratorConfig, batch: int) -> None:
    plain = with_random_batch_norm(PsfrGenerator(config))
    fast = optimized(plain)
    for side in (config.size, config.size, 2 * config.size):
        inputs = face(batch, side)
        torch.testing.assert_close(fast(*inputs), plain(*inputs), atol=1e-5, rtol=1e-4)
    assert fast.config == config


@pytest.mark.slow
@pytest.mark.usefixtures("operators", "strips")
@pytest.mark.parametrize("config", PARSE_NETS, ids=str)
@pytest.mark.parametrize("batch", [1, 3])
def test_optimized_parsing_network_equals_the_plain_one(config: ParseNetConfig, batch: int) -> None:
    plain = with_random_batch_norm(ParseNet(config))
    fast = optimized(plain)
    for height, width in ((config.size, config.size), (config.size, config.size), (config.size // 2, 2 * config.size)):
        lq = torch.rand(batch, 3, height, width) * 2 - 1
        logits, image = plain(lq)
        for found, expected in zip(fast(lq), (logits, image), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(fast.parse_logits(lq), logits, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_optimized_published_generator_has_the_golden_values(golden: ModuleType) -> None:
    generator = PsfrGenerator(PUBLISHED_GENERATOR)
    generator.load_state_dict(fold_spectral_norm(golden.state_dict("generator")))
    generator = optimize_for_inference(generator, "cpu", torch.float32)
    inputs = golden.image("generator/lq", 1, 512), golden.parse_one_hot("generator/parse", 1, 512)
    for _ in range(2):
        out = generator(*inputs)
        assert (out[..., ::8, ::8] - golden.expected("generator/out_stride8")).abs().max() <= 1e-4
        assert (out[..., 200:264, 200:264] - golden.expected("generator/out_crop")).abs().max() <= 1e-4


@pytest.mark.slow
def test_optimized_published_parsing_network_has_the_golden_values(golden: ModuleType) -> None:
    net = ParseNet(PUBLISHED_PARSE_NET)
    net.load_state_dict(golden.state_dict("parsenet"))
    net = optimize_for_inference(net, "cpu", torch.float32)
    expected = golden.expected("parsenet/logits_stride8")
    for _ in range(2):
        logits, image = net(golden.image("generator/lq", 1, 512))
        assert (logits[..., ::8, ::8] - expected).abs().max() <= 1e-4 * (expected.max() - expected.min())
        assert (image[..., ::8, ::8] - golden.expected("parsenet/image_stride8")).abs().max() <= 1e-4


@pytest.mark.usefixtures("operators")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_close(dtype: torch.dtype) -> None:
    generator, net = (
        with_random_batch_norm(PsfrGenerator(GENERATORS[1])),
        with_random_batch_norm(ParseNet(PARSE_NETS[1])),
    )
    lq, one_hot = face(2, 64)
    for found, expected in (
        (optimized(generator, dtype)(lq.to(dtype), one_hot.to(dtype)), generator(lq, one_hot)),
        (optimized(net, dtype).parse_logits(lq.to(dtype)), net.parse_logits(lq)),
    ):
        assert found.dtype == dtype
        error = (found.float() - expected).square().mean().sqrt() / expected.std()
        assert 1e-5 < error < 0.03


def test_another_thread_computes_the_same() -> None:
    fast = optimized(with_random_batch_norm(PsfrGenerator(GENERATORS[1])))
    inputs = face(1, 64)
    found: list[Tensor] = []

    def compute() -> None:
        with torch.inference_mode():
            found.append(fast(*inputs))

    thread = threading.Thread(target=compute)
    thread.start()
    thread.join()
    torch.testing.assert_close(found[0], fast(*inputs))


@pytest.mark.skipif(not convolution.can_pack(torch.float32), reason="this PyTorch has no oneDNN")
@pytest.mark.parametrize("move", [{"device": "meta"}, {"dtype": torch.float16}])
def test_optimized_networks_cannot_be_moved(move: dict[str, Any]) -> None:
    fast = optimized(PsfrGenerator(GENERATORS[0]))
    assert fast.to("cpu") is fast
    with pytest.raises(OptionError, match=r"optimized for torch.float32 on the CPU.*Load it again"):
        fast.to(**move)


def test_networks_are_not_optimized_twice() -> None:
    network = optimize_for_inference(ParseNet(ParseNetConfig((4, 4), 1)), "cpu", torch.float32)
    with pytest.raises(OptionError, match="already optimized for a CPU. Load it again"):
        optimize_for_inference(network, "cpu", torch.float32)


def test_batch_norms_are_folded() -> None:
    for plain, image in (
        (with_random_batch_norm(CompactFaceNet()), torch.rand(2, 3, 96, 64)),
        (with_random_batch_norm(build_retinaface("mobile0.25")), torch.rand(1, 3, 96, 64) * 255 - 128),
        (with_random_batch_norm(build_retinaface("resnet50")), torch.rand(1, 3, 64, 64) * 255 - 128),
    ):
        folded = fold_batch_norm(copy.deepcopy(plain))
        assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
        for found, expected in zip(folded(image), plain(image), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-4 * float(expected.abs().max()), rtol=1e-3)


@pytest.mark.parametrize("device", ["cuda", "mps", "xpu", "privateuseone"])
def test_networks_for_other_devices_can_be_moved(device: str) -> None:
    plain = with_random_batch_norm(ParseNet(PARSE_NETS[1]))
    optimized_network = optimize_for_inference(copy.deepcopy(plain), device, torch.float32)
    lq = torch.rand(1, 3, 64, 64)
    for found, expected in zip(optimized_network.double().float()(lq), plain(lq), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    weight = next(optimized_network.parameters())
    assert weight.is_contiguous(memory_format=torch.channels_last) == (device == "cuda")


def test_cpus_without_bfloat16_use_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fastest_dtype("cuda") == torch.float32
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    assert fastest_dtype("cpu") == torch.float32
    if convolution.can_pack(torch.bfloat16):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
        assert fastest_dtype("cpu") == torch.bfloat16
        monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
        assert fastest_dtype("cpu") == torch.float32
