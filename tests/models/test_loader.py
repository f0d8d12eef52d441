"""Test that networks are loaded from files in every format."""

from __future__ import annotations

import importlib
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from psfr_core.errors import CheckpointError, MissingPackageError
from psfr_core.models.loader import load_detector_network, load_generator, load_parse_net
from psfr_core.models.retinaface_network import build_retinaface
from psfr_core.models.state_dict import read_state_dict
from psfr_core.networks.compact_face_net import CompactFaceNet
from psfr_core.networks.parse_net import ParseNet
from psfr_core.networks.psfr_generator import PsfrGenerator

Generate = Callable[[nn.Module], Tensor]


def saved(tensors: Mapping[str, object], path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file({key: tensor for key, tensor in tensors.items() if isinstance(tensor, Tensor)}, path)
    else:
        torch.save(tensors, path)
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_a_saved_generator_is_loaded(tmp_path: Path, generator: PsfrGenerator, generate: Generate, suffix: str) -> None:
    loaded = load_generator(saved(generator.state_dict(), tmp_path / f"g{suffix}"))
    assert loaded.config == generator.config
    assert not loaded.training
    assert {parameter.device.type for parameter in loaded.parameters()} == {"cpu"}
    assert torch.equal(generate(loaded), generate(generator))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_spectrally_normalized_file_is_loaded(
    tmp_path: Path, normalized_generator: PsfrGenerator, generate: Generate, suffix: str
) -> None:
    loaded = load_generator(str(saved(normalized_generator.state_dict(), tmp_path / f"g{suffix}")))
    torch.testing.assert_close(generate(loaded), generate(normalized_generator), atol=1e-5, rtol=0)


def test_a_training_checkpoint_is_loaded(tmp_path: Path, generator: PsfrGenerator, generate: Generate) -> None:
    wrapped = {f"module.{key}": tensor for key, tensor in generator.state_dict().items()}
    path = saved({"params_ema": wrapped, "params": {"module.x": torch.zeros(1)}, "step": 7}, tmp_path / "g.pth")
    assert torch.equal(generate(load_generator(path)), generate(generator))


def test_a_half_precision_file_becomes_float32(tmp_path: Path, generator: PsfrGenerator, generate: Generate) -> None:
    halves = {key: tensor.half() for key, tensor in generator.state_dict().items()}
    loaded = load_generator(saved(halves, tmp_path / "g.safetensors"))
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    torch.testing.assert_close(generate(loaded), generate(generator), atol=0.02, rtol=0.02)


def test_a_loaded_network_can_be_trained(tmp_path: Path, generator: PsfrGenerator, images: Tensor) -> None:
    loaded = load_generator(saved(generator.state_dict(), tmp_path / "g.safetensors"))
    loaded(images, torch.zeros(1, 19, 64, 64)).sum().backward()
    assert all(parameter.grad is not None for parameter in loaded.parameters())


def test_a_saved_parsing_network_is_loaded(tmp_path: Path, parse_net: ParseNet, images: Tensor) -> None:
    loaded = load_parse_net(saved(parse_net.state_dict(), tmp_path / "p.safetensors"))
    assert loaded.config == parse_net.config
    with torch.no_grad():
        assert torch.equal(loaded(images)[0], parse_net(images)[0])


def test_batch_norm_without_counters_is_complete(tmp_path: Path, parse_net: ParseNet, images: Tensor) -> None:
    old = {key: value for key, value in parse_net.state_dict().items() if not key.endswith("num_batches_tracked")}
    loaded = load_parse_net(saved(old, tmp_path / "p.pth"))
    assert {buffer.device.type for buffer in loaded.buffers()} == {"cpu"}
    with torch.no_grad():
        assert torch.equal(loaded(images)[0], parse_net(images)[0])


def test_a_saved_compact_face_is_loaded(tmp_path: Path, compact_face_net: CompactFaceNet, images: Tensor) -> None:
    loaded = load_detector_network(saved(compact_face_net.state_dict(), tmp_path / "f.safetensors"))
    assert isinstance(loaded, CompactFaceNet)
    with torch.no_grad():
        assert torch.equal(loaded.predict(images), compact_face_net.predict(images))


@pytest.mark.facexlib
def test_a_saved_retinaface_is_loaded(tmp_path: Path, images: Tensor) -> None:
    network = build_retinaface("mobile0.25")
    wrapped = {f"module.{key}": tensor for key, tensor in network.state_dict().items()}
    loaded = load_detector_network(saved(wrapped, tmp_path / "r.pth"))
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(loaded(images), network(images), strict=True))


@pytest.mark.facexlib
@pytest.mark.parametrize("name", ["mobile0.25", "resnet50"])
def test_building_retinaface_is_silent_and_does_not_change_random_numbers(name: str) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build_retinaface(name)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.facexlib
@pytest.mark.parametrize("reason", [ImportError("libGL.so.1"), AttributeError("_ARRAY_API"), RuntimeError("cv2 ABI")])
def test_retinaface_without_a_working_facexlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: Exception
) -> None:
    path = saved(build_retinaface("mobile0.25").state_dict(), tmp_path / "r.pth")

    def refuse(name: str) -> None:
        assert name.startswith("facexlib.")
        raise reason

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(MissingPackageError) as error:
        load_detector_network(path)
    assert str(error.value) == (
        "RetinaFace, unlike the bundled detector, needs the package facexlib, which cannot be imported "
        f"({type(reason).__name__}: {reason}). Install or repair it: pip install facexlib"
    )


def test_a_name_loads_the_file_in_a_given_folder(tmp_path: Path, generator: PsfrGenerator, generate: Generate) -> None:
    saved(generator.state_dict(), tmp_path / "psfrgan_epoch15_net_G.pth")
    assert torch.equal(generate(load_generator("psfrgan-512", folders=[tmp_path])), generate(generator))


def test_a_name_loads_a_bundled_file(home: Path, tmp_path: Path, parse_net: ParseNet) -> None:
    shutil.copy(saved(parse_net.state_dict(), tmp_path / "p.safetensors"), home / "assets/parsenet_256.safetensors")
    assert load_parse_net("parsenet-256").config == parse_net.config


def test_weights_of_another_network_are_named(tmp_path: Path, generator: PsfrGenerator, parse_net: ParseNet) -> None:
    generator_file = saved(generator.state_dict(), tmp_path / "g.pth")
    parse_file = saved(parse_net.state_dict(), tmp_path / "p.pth")
    with pytest.raises(
        CheckpointError, match=r"^p\.pth is a face parsing network \(ParseNet\), but a PSFR-GAN generator is "
    ):
        load_generator(parse_file)
    with pytest.raises(CheckpointError, match=r"Choose one of parsenet-256.*can be chosen as the generator"):
        load_parse_net(generator_file)
    with pytest.raises(CheckpointError, match=r"a PSFR-GAN generator, but a face detector.*or a RetinaFace detector"):
        load_detector_network(generator_file)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("stylegan_decoder.style_mlp.1.weight", "is a GFPGAN restorer"),
        ("ft_layers.0.self_attn.in_proj_weight", "is a CodeFormer restorer"),
        ("D_pool.0.model.0.conv2d.weight", "is a PSFR-GAN discriminator"),
        ("model.diffusion_model.out.0.weight", "is a Stable Diffusion checkpoint"),
        ("some.layer", r"is an unknown network \(first keys: some\.layer\)"),
    ],
)
def test_foreign_files_are_named(tmp_path: Path, key: str, words: str) -> None:
    path = saved({key: torch.zeros(2, 2)}, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match=rf"^x\.safetensors {words}.* is needed\. Choose one of psfrgan-256"):
        load_generator(path)


def test_keys_and_shapes_that_do_not_fit_are_listed(tmp_path: Path, generator: PsfrGenerator) -> None:
    tensors = dict(generator.state_dict())
    del tensors["img_out.bias"]
    tensors["body.0.2.extra"] = torch.zeros(1)
    tensors["head.0.bias"] = torch.zeros(5)
    path = saved(tensors, tmp_path / "g.pth")
    with pytest.raises(CheckpointError) as error:
        load_generator(path)
    assert "1 missing (img_out.bias)" in str(error.value)
    assert "1 unexpected (body.0.2.extra)" in str(error.value)
    assert "1 of another shape (head.0.bias (5,) instead of (12,))" in str(error.value)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_weights_of_other_dtypes_are_listed(tmp_path: Path, generator: PsfrGenerator, dtype: torch.dtype) -> None:
    path = saved({**generator.state_dict(), "head.0.bias": torch.zeros(12).to(dtype)}, tmp_path / "g.pth")
    with pytest.raises(CheckpointError, match=rf"1 of another type \(head\.0\.bias {dtype} instead of floating point"):
        load_generator(path)


def test_long_lists_are_cut(tmp_path: Path, parse_net: ParseNet) -> None:
    tensors = {key: value for key, value in parse_net.state_dict().items() if not key.startswith("body.1.conv2")}
    with pytest.raises(CheckpointError, match=r"5 missing \(body\.1\.conv2\.conv2d\.weight, [^,]*, [^,]*, \.\.\.\)"):
        load_parse_net(saved(tensors, tmp_path / "p.pth"))


@pytest.mark.parametrize("tensor", [torch.zeros(()), torch.zeros(3)])
def test_shapes_that_fit_no_configuration_are_refused(tmp_path: Path, generator: PsfrGenerator, tensor: Tensor) -> None:
    path = saved({**generator.state_dict(), "const_input": tensor}, tmp_path / "g.pth")
    with pytest.raises(CheckpointError, match="looks like a PSFR-GAN generator but is incomplete or altered"):
        load_generator(path)


def test_loading_makes_no_second_copy(
    tmp_path: Path, generator: PsfrGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: dict[str, Tensor] = {}
    monkeypatch.setattr(
        "psfr_core.models.loader.read_state_dict", lambda path: read.update(read_state_dict(path)) or read
    )
    loaded = load_generator(saved(generator.state_dict(), tmp_path / "g.safetensors"))
    assert {p.data_ptr() for p in loaded.parameters()} == {tensor.data_ptr() for tensor in read.values()}


def test_networks_loaded_in_inference_mode_can_be_moved_outside_it(generator: PsfrGenerator, tmp_path: Path) -> None:
    """Imitate ComfyUI: a node loads a network, ComfyUI moves it, and a node runs it."""
    torch.save(generator.state_dict(), tmp_path / "a.pth")
    with torch.inference_mode():
        loaded = load_generator(tmp_path / "a.pth")
    loaded.to(torch.float64).to(torch.float32)
    with torch.inference_mode():
        assert loaded(torch.zeros(1, 3, 64, 64), torch.zeros(1, 19, 64, 64)).shape == (1, 3, 64, 64)
