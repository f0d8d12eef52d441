from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

Run = Callable[..., Any]


def test_degradation_equals_the_library_with_one_seed_per_frame(run: Run, portrait: Tensor, pack: Any) -> None:
    batch = portrait.repeat(2, 1, 1, 1)
    degraded, target, description = run("PSFR_DegradeImage", image=batch, seed=7).args
    pipeline, config = pack("psfr_core.lab.degradation.pipeline"), pack("psfr_core.lab.degradation.config")
    for index in range(2):
        generator = torch.Generator().manual_seed(7 + index)
        pair = pipeline.degrade(portrait[0].movedim(-1, 0), config.DegradationConfig(), generator)
        assert torch.equal(degraded[index].movedim(-1, 0), pair.lq)
        assert torch.equal(target[index].movedim(-1, 0), pair.hq)
    assert not torch.equal(degraded[0], degraded[1])
    assert len(description.splitlines()) == 2


def test_alpha_and_size_are_kept(run: Run) -> None:
    image = torch.rand(1, 40, 50, 4)
    degraded, target, _ = run("PSFR_DegradeImage", image=image).args
    assert torch.equal(degraded[..., 3], image[..., 3])
    assert torch.equal(target[..., 3], image[..., 3])


def test_degradation_options_default_to_those_of_the_paper(run: Run, pack: Any) -> None:
    config = pack("psfr_core.lab.degradation.config").DegradationConfig
    assert run("PSFR_DegradationOptions").args[0] == config()
    changed = run("PSFR_DegradationOptions", jpeg_quality_low=10.0, grey_probability=1.0, passes=2).args[0]
    assert changed == config(jpeg_quality=(10.0, 90.0), grey_probability=1.0, passes=2)
    with pytest.raises(pack("psfr_core.errors").OptionError, match="jpeg_quality must be"):
        run("PSFR_DegradationOptions", jpeg_quality_low=95.0)


def test_metrics_and_difference_image(run: Run) -> None:
    reference = torch.full((1, 16, 16, 3), 0.5)
    image = reference.clone()
    image[..., 0] += 0.1
    report, psnr, ssim, lpips, difference = run("PSFR_CompareImages", image=image, reference=reference, gain=4.0).args
    assert psnr == pytest.approx(24.771, abs=1e-3)
    assert 0.9 < ssim < 1
    assert math.isnan(lpips)
    assert report.splitlines()[0] == "PSNR 24.77 dB"
    assert "not measured" in report.splitlines()[2]
    assert difference[0, 3, 3].tolist() == pytest.approx([0.4, 0.0, 0.0], abs=1e-6)


def test_one_reference_or_one_per_image_is_accepted(run: Run, pack: Any, host: Callable[[str], Any]) -> None:
    images = torch.rand(3, 16, 16, 3)
    assert run("PSFR_CompareImages", image=images, reference=images).args[1] == math.inf
    shown = host("comfy.utils").shown
    shown.clear()
    _, _, similarity, _, difference = run("PSFR_CompareImages", image=images, reference=images[:1]).args
    assert shown == [(1, 3), (2, 3), (3, 3)]
    assert torch.equal(difference, ((images - images[:1]).abs() * 4).clamp(0, 1))
    each = [run("PSFR_CompareImages", image=one[None], reference=images[:1]).args[2] for one in images]
    assert similarity == pytest.approx(sum(each) / 3, abs=1e-6)
    with pytest.raises(pack("psfr_core.errors").InputError, match="2 references for 3 images"):
        run("PSFR_CompareImages", image=images, reference=images[:2])
    with pytest.raises(pack("psfr_core.errors").InputError, match="same shape"):
        run("PSFR_CompareImages", image=images, reference=torch.rand(1, 16, 17, 3))


def test_lpips_is_measured_with_its_weights(
    run: Run, nodes: dict[str, Any], host: Callable[[str], Any], pack: Any
) -> None:
    folder = Path(host("folder_paths").models_dir) / "psfrgan"
    channels = (64, 192, 384, 256, 256)
    shapes = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
    weights = {f"features.{n}.weight": torch.randn(o, i, k, k) * 0.05 for n, (o, i, k) in shapes.items()}
    weights |= {f"features.{n}.bias": torch.zeros(o) for n, (o, _, _) in shapes.items()}
    save_file(weights, folder / "alexnet.safetensors")
    heads = {f"lin{n}.model.1.weight": torch.rand(1, c, 1, 1) for n, c in enumerate(channels)}
    save_file(heads, folder / "heads.safetensors")
    lists = {
        socket.id: getattr(socket, "options", None) for socket in nodes["PSFR_CompareImages"].define_schema().inputs
    }
    assert lists["lpips_features"] == ["none", "alexnet.safetensors"]
    assert lists["lpips_heads"] == ["none", "heads.safetensors"]
    images = torch.rand(2, 64, 64, 3)
    files = {"lpips_features": "alexnet.safetensors", "lpips_heads": "heads.safetensors"}
    lpips = run("PSFR_CompareImages", image=images, reference=images.flip(0), **files).args[3]
    network = pack("psfr_core.lab.metrics.lpips").load_lpips(
        folder / "alexnet.safetensors", folder / "heads.safetensors"
    )
    frames = images.movedim(-1, 1)
    assert lpips == pytest.approx(float(network(frames, frames.flip(0)).mean()), rel=1e-5)
    with pytest.raises(pack("psfr_core.errors").OptionError, match="two files that belong together"):
        run("PSFR_CompareImages", image=images, reference=images, lpips_heads="heads.safetensors")


def test_only_examples_in_the_folder_are_loaded(run: Run, pack: Any) -> None:
    image = run("PSFR_LoadExampleImage", picture="solvay_conference_1927.jpg").args[0]
    assert image.shape[-1] == 3  # the file is gray
    with pytest.raises(pack("psfr_core.errors").ImageFileError, match="Choose one of portrait.jpg"):
        run("PSFR_LoadExampleImage", picture="../before_after.jpg")


def test_without_the_examples_only_the_example_node_fails(
    nodes: dict[str, Any], run: Run, pack: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    default = nodes["PSFR_LoadExampleImage"].define_schema().inputs[0].default
    monkeypatch.setattr(pack("nodes.example_image"), "_FOLDER", tmp_path)
    picture = nodes["PSFR_LoadExampleImage"].define_schema().inputs[0]
    assert (picture.options, picture.default) == ([default], default)
    with pytest.raises(
        pack("psfr_core.errors").ImageFileError, match="missing from .*Reinstall the pack, or use Load Image"
    ):
        run("PSFR_LoadExampleImage")
