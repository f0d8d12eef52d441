"""Test the nodes with GFPGAN, RestoreFormer and CodeFormer files."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

Run = Callable[..., Any]
Host = Callable[[str], Any]
GFPGAN = {"toRGB.0.weight": torch.zeros(2), "stylegan_decoder.style_mlp.1.weight": torch.zeros(2)}
UPSCALER = {"body.0.rdb1.conv1.weight": torch.zeros(2)}


def put(host: Host, name: str, tensors: dict[str, Tensor]) -> Path:
    path = Path(host("folder_paths").models_dir) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path)
    return path


@pytest.fixture
def restoreformer(host: Host) -> Any:
    """Save a small RestoreFormer with random weights as r.safetensors, and return spandrel's descriptor of it."""
    spandrel: Any = pytest.importorskip("spandrel", reason="needs the package spandrel")
    sizes = {"ch": 32, "ch_mult": (1, 1, 1, 1, 1, 1), "num_res_blocks": 1}
    network = spandrel.architectures.RestoreFormer.RestoreFormer(n_embed=8, embed_dim=32, z_channels=32, **sizes)
    put(host, "facerestore_models/r.safetensors", network.state_dict())
    return spandrel.ModelLoader().load_from_state_dict(network.state_dict())


def offered(nodes: dict[str, Any]) -> list[str]:
    return nodes["PSFR_LoadFaceRestorer"].define_schema().inputs[0].options


def test_only_face_restorers_are_offered(nodes: dict[str, Any], host: Host, caplog: pytest.LogCaptureFixture) -> None:
    assert offered(nodes) == ["GFPGANv1.4.pth"]  # a common name, so that the error says where to put the file
    caplog.set_level(logging.INFO)
    put(host, "facerestore_models/face.safetensors", GFPGAN)
    put(host, "psfrgan/upscaler.safetensors", UPSCALER)
    assert offered(nodes) == ["face.safetensors"]
    assert "upscaler.safetensors is not offered in the model loaders: it is an ESRGAN upscaler" in caplog.text
    assert "face.safetensors is not offered" not in caplog.text
    generators = nodes["PSFR_LoadGenerator"].define_schema().inputs[0].options
    assert "face.safetensors" not in generators


def test_a_missing_file_is_an_error_with_advice(run: Run, pack: Any) -> None:
    with pytest.raises(
        pack("psfr_core.errors").ModelNotFoundError,
        match=r"There is no face restorer file 'GFPGANv1\.4\.pth' in .*psfrgan, .*facerestore_models\. Put a GFPGAN",
    ):
        run("PSFR_LoadFaceRestorer")


def test_the_error_for_another_model_names_its_type(run: Run, host: Host, pack: Any) -> None:
    put(host, "psfrgan/upscaler.safetensors", UPSCALER)
    with pytest.raises(
        pack("psfr_core.errors").CheckpointError, match=r"is an ESRGAN upscaler, but .* a CodeFormer restorer is needed"
    ):
        run("PSFR_LoadFaceRestorer", restorer="upscaler.safetensors")


def test_the_loader_runs_again_for_another_file(nodes: dict[str, Any], host: Host) -> None:
    node = nodes["PSFR_LoadFaceRestorer"]
    assert node.validate_inputs(restorer="anything.pth") is True
    missing = node.fingerprint_inputs(restorer="r.safetensors", fidelity=0.5)
    put(host, "psfrgan/r.safetensors", GFPGAN)
    assert node.fingerprint_inputs(restorer="r.safetensors", fidelity=0.5) != missing
    assert node.fingerprint_inputs(restorer=None) == ""


@pytest.mark.long
def test_crops_are_restored_without_parse_map_or_parser(run: Run, restoreformer: Any, pack: Any) -> None:
    restorer = run("PSFR_LoadFaceRestorer", restorer="r.safetensors").args[0]
    assert next(restorer.network.parameters()).dtype == torch.float32
    crops = torch.rand(1, 512, 512, 3)
    restored = run("PSFR_RestoreAlignedFaces", crops=crops, generator=restorer, color_match="none").args[0]
    colors, faces = pack("psfr_core.restoration.color_match"), crops.movedim(-1, 1)
    expected = colors.match_colors(restoreformer(faces), faces, colors.ColorMatch.NONE)
    torch.testing.assert_close(restored.movedim(-1, 1), expected, atol=1e-3, rtol=0)


@pytest.mark.long
def test_faces_in_an_image_are_restored(
    run: Run, restoreformer: Any, portrait: Tensor, host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    restorer = run("PSFR_LoadFaceRestorer", restorer="r.safetensors", fidelity=0.7).args[0]
    assert "fidelity has no effect on r.safetensors, which is a RestoreFormer restorer" in caplog.text
    image, mask, count, _ = run("PSFR_RestoreFacesInImage", image=portrait, generator=restorer).args
    assert count == 1
    untouched = (mask == 0)[..., None].expand_as(portrait)
    assert torch.equal(image[untouched], portrait[untouched])
    assert (image - portrait).abs().max() > 0.1
    (patchers, memory), *_ = host("comfy.model_management").loaded
    assert restorer.patcher in patchers
    assert memory >= 900_000_000
