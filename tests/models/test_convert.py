"""Test the conversion of weight files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from psfr_core.errors import CheckpointError, OptionError
from psfr_core.models import convert, manifest
from psfr_core.models.convert import convert_weights
from psfr_core.models.loader import load_detector_network, load_generator
from psfr_core.models.metadata import WeightMetadata, read_metadata, write_weights
from psfr_core.models.retinaface_network import build_retinaface
from psfr_core.networks.psfr_generator import PsfrGenerator


@pytest.fixture
def published(tmp_path: Path, normalized_generator: PsfrGenerator) -> Path:
    """Return a file with the name and the keys of the published generator."""
    path = tmp_path / "psfrgan_epoch15_net_G.pth"
    torch.save(normalized_generator.state_dict(), path)
    return path


def test_a_converted_generator_works_the_same(
    published: Path, normalized_generator: PsfrGenerator, generate: Callable[[nn.Module], Tensor]
) -> None:
    target = published.parent / "new folder" / "g.safetensors"
    digest = convert_weights(published, target)
    assert digest == hashlib.sha256(target.read_bytes()).hexdigest()
    assert not any("weight_" in key for key in load_file(target))
    torch.testing.assert_close(generate(load_generator(target)), generate(normalized_generator), atol=1e-5, rtol=0)
    assert [path.name for path in target.parent.iterdir()] == ["g.safetensors"]


def test_the_file_stores_architecture_license_and_source(published: Path, tmp_path: Path) -> None:
    convert_weights(published, tmp_path / "g.safetensors")
    with safe_open(tmp_path / "g.safetensors", "pt") as file:
        written = file.metadata()
    assert written["architecture"] == "psfr_generator"
    assert json.loads(written["config"]) == {"channels": [12, 8, 4], "modulation_channels": 6, "residual": False}
    assert written["licence"] == "CC-BY-NC-SA-4.0"
    assert written["source"].startswith("psfrgan_epoch15_net_G.pth, https://github.com/chaofengc/PSFRGAN")
    assert written["source"].endswith("(by its name: the hash is not known)")


@pytest.mark.parametrize("is_published", [True, False])
def test_a_name_alone_does_not_prove_the_source(
    published: Path,
    tmp_path: Path,
    publish_as: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
    is_published: bool,
) -> None:
    publish_as("psfrgan-512", published.read_bytes() if is_published else b"other")
    monkeypatch.setattr(convert, "MODEL_FILES", manifest.MODEL_FILES)
    convert_weights(published, tmp_path / "g.safetensors")
    written = read_metadata(tmp_path / "g.safetensors")
    assert written is not None
    assert (written.licence == "CC-BY-NC-SA-4.0") == is_published
    assert (written.source == published.name) != is_published
    assert "by its name" not in written.source


def test_equal_weights_give_equal_files(published: Path, tmp_path: Path) -> None:
    digests = {convert_weights(published, tmp_path / f"{n}.safetensors") for n in range(8)}
    assert len(digests) == 1


def test_half_precision_is_within_a_thousandth(published: Path, tmp_path: Path) -> None:
    convert_weights(published, tmp_path / "g.safetensors", half=True)
    assert {tensor.dtype for tensor in load_file(tmp_path / "g.safetensors").values()} == {torch.float16}
    convert_weights(published, tmp_path / "full.safetensors")
    halves, full = load_generator(tmp_path / "g.safetensors"), load_generator(tmp_path / "full.safetensors")
    torch.testing.assert_close(halves.state_dict(), full.state_dict(), atol=1e-3, rtol=1e-3)


def test_weights_too_large_for_half_precision_are_refused(generator: PsfrGenerator, tmp_path: Path) -> None:
    save_file({**generator.state_dict(), "img_out.bias": torch.full((3,), 1e5)}, tmp_path / "a.safetensors")
    with pytest.raises(OptionError, match=r"img_out\.bias does not fit into float16"):
        convert_weights(tmp_path / "a.safetensors", tmp_path / "b.safetensors", half=True)
    assert not (tmp_path / "b.safetensors").exists()


def test_counters_stay_integers_and_retinaface_converts(tmp_path: Path) -> None:
    network = build_retinaface("mobile0.25")
    torch.save({f"module.{key}": value for key, value in network.state_dict().items()}, tmp_path / "r.pth")
    convert_weights(tmp_path / "r.pth", tmp_path / "r.safetensors", half=True)
    assert read_metadata(tmp_path / "r.safetensors") == WeightMetadata(
        "retinaface_mobile0.25", {"network_name": "mobile0.25"}, "unknown", "r.pth"
    )
    loaded = load_detector_network(tmp_path / "r.safetensors").state_dict()
    assert loaded["body.stage1.0.1.num_batches_tracked"].dtype == torch.int64


def test_a_second_conversion_keeps_license_and_source(published: Path, tmp_path: Path) -> None:
    convert_weights(published, tmp_path / "a.safetensors")
    convert_weights(tmp_path / "a.safetensors", tmp_path / "b.safetensors", half=True)
    assert read_metadata(tmp_path / "b.safetensors") == read_metadata(tmp_path / "a.safetensors")
    convert_weights(tmp_path / "a.safetensors", tmp_path / "c.safetensors", licence="MIT")
    written = read_metadata(tmp_path / "c.safetensors")
    assert written is not None
    assert written.licence == "MIT"


def test_nothing_is_overwritten_unless_allowed(published: Path, tmp_path: Path) -> None:
    target = tmp_path / "g.safetensors"
    target.write_bytes(b"precious")
    with pytest.raises(OptionError, match=r"g\.safetensors exists already.*allow it to be overwritten"):
        convert_weights(published, target)
    assert target.read_bytes() == b"precious"
    convert_weights(published, target, overwrite=True)
    load_generator(target)


def test_a_target_with_another_suffix_is_refused(published: Path) -> None:
    with pytest.raises(OptionError, match=r"must end in \.safetensors, got g\.pth"):
        convert_weights(published, published.parent / "g.pth")


@pytest.mark.parametrize("missing", ["img_out.weight", None])
def test_files_that_would_not_load_are_not_converted(
    generator: PsfrGenerator, tmp_path: Path, missing: str | None
) -> None:
    tensors = dict(generator.state_dict()) if missing else {"w": torch.zeros(1)}
    tensors.pop(missing or "", None)
    torch.save(tensors, tmp_path / "a.pth")
    with pytest.raises(CheckpointError):
        convert_weights(tmp_path / "a.pth", tmp_path / "b.safetensors")
    assert [path.name for path in tmp_path.glob("b*")] == []


def test_a_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(path: Path, content: bytes) -> None:
        path.touch()
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_weights(tmp_path / "a.safetensors", {"w": torch.zeros(1)}, WeightMetadata("x", {}))
    assert list(tmp_path.glob("a*")) == []


def test_tensors_that_share_memory_are_written(tmp_path: Path) -> None:
    whole = torch.arange(6.0).view(2, 3)
    write_weights(tmp_path / "a.safetensors", {"whole": whole, "turned": whole.T}, WeightMetadata("x", {}))
    assert torch.equal(load_file(tmp_path / "a.safetensors")["turned"], whole.T)


def test_metadata_with_any_characters_are_kept(tmp_path: Path) -> None:
    metadata = WeightMetadata("x", {"a": [1, 2]}, "Lizenz „frei“", 'a "quoted"\nsource')
    write_weights(tmp_path / "a.safetensors", {"w": torch.arange(3.0)}, metadata)
    assert read_metadata(tmp_path / "a.safetensors") == metadata
    assert torch.equal(load_file(tmp_path / "a.safetensors")["w"], torch.arange(3.0))


def test_other_files_have_no_metadata(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(1)}, tmp_path / "plain.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    for name in ("plain.safetensors", "text.safetensors", "missing.safetensors"):
        assert read_metadata(tmp_path / name) is None
