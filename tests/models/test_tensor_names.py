"""Test the recognition of weight files by the names of their tensors."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save
from torch import nn

from psfr_core.models import tensor_names
from psfr_core.models.architectures import COMPACT_FACE_NET, PARSE_NET, PSFR_GENERATOR, describe, recognize
from psfr_core.models.state_dict import read_state_dict
from psfr_core.models.tensor_names import read_tensor_names
from psfr_core.networks.compact_face_net import CompactFaceNet
from psfr_core.networks.parse_net import ParseNet
from psfr_core.networks.psfr_generator import PsfrGenerator

Tensors = dict[str, torch.Tensor]


def torch_file(content: object, *, legacy: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


FORMATS: dict[str, Callable[[Tensors], bytes]] = {
    "safetensors": save,
    "zip": torch_file,
    "legacy": lambda tensors: torch_file(tensors, legacy=True),
    "wrapped": lambda tensors: torch_file({"params_ema": tensors}),
    "data parallel": lambda tensors: torch_file({f"module.{key}": value for key, value in tensors.items()}),
}


@pytest.mark.parametrize("form", FORMATS)
def test_names_are_those_of_the_weights(
    tmp_path: Path, form: str, generator: PsfrGenerator, parse_net: ParseNet, compact_face_net: CompactFaceNet
) -> None:
    path = tmp_path / "file"
    networks: dict[Any, nn.Module] = {
        PSFR_GENERATOR: generator,
        PARSE_NET: parse_net,
        COMPACT_FACE_NET: compact_face_net,
    }
    for architecture, network in networks.items():
        path.write_bytes(FORMATS[form](dict(network.state_dict())))
        names = read_tensor_names(path)
        assert recognize(names) is architecture
        assert set(names) - {"params_ema"} == set(read_state_dict(path))


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_networks_with_spectral_normalization_are_recognized(
    tmp_path: Path, form: str, normalized_generator: PsfrGenerator
) -> None:
    path = tmp_path / "published.pth"
    path.write_bytes(FORMATS[form](dict(normalized_generator.state_dict())))
    assert "head.1.norm_0.conv1.0.weight" not in normalized_generator.state_dict()
    assert recognize(read_tensor_names(path)) is PSFR_GENERATOR
    newer = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(2, 2)))
    path.write_bytes(FORMATS[form](dict(newer.state_dict())))
    assert "0.weight" in read_tensor_names(path)


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ({"params_ema": {"stylegan_decoder.to_rgb1.bias": torch.ones(1)}}, "a GFPGAN restorer of a version before 1.3"),
        ({"params_ema": {"ft_layers.0.self_attn.out_proj.bias": torch.ones(1)}}, "a CodeFormer restorer"),
        ({"a.weight": torch.ones(1), "b": torch.ones(1)}, "an unknown network (first keys: a.weight, b)"),
    ],
)
def test_other_networks_are_described(tmp_path: Path, content: object, title: str) -> None:
    (tmp_path / "x.pth").write_bytes(torch_file(content))
    names = read_tensor_names(tmp_path / "x.pth")
    assert recognize(names) is None
    assert describe(names) == title


def test_tensors_are_not_loaded(tmp_path: Path, generator: PsfrGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((torch, "load"), (torch, "empty"), (pickle, "load"), (pickle, "Unpickler")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("it is loaded"))
    tensors = dict(generator.state_dict())
    (tmp_path / "g.pth").write_bytes(torch_file(tensors))
    assert recognize(read_tensor_names(tmp_path / "g.pth")) is PSFR_GENERATOR
    content = save(tensors)
    header_end = 8 + int.from_bytes(content[:8], "little")
    (tmp_path / "g.safetensors").write_bytes(content[:header_end])  # the rest of the file is not read
    assert recognize(read_tensor_names(tmp_path / "g.safetensors")) is PSFR_GENERATOR


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "touched",)

    for protocol in (2, 4):
        (tmp_path / "x.pth").write_bytes(pickle.dumps({"const_input": Touch()}, protocol=protocol))
        read_tensor_names(tmp_path / "x.pth")
    archive = io.BytesIO(torch_file({}))
    with zipfile.ZipFile(archive, "a") as changed:
        changed.writestr("other/data.pkl", pickle.dumps({"const_input": Touch()}))
    (tmp_path / "y.pth").write_bytes(archive.getvalue())
    assert "const_input" in read_tensor_names(tmp_path / "y.pth")
    assert not (tmp_path / "touched").exists()


def damaged(kind: str, tensors: Tensors) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"const_input": 1}))
    return {
        "empty": b"",
        "web page": b"<!DOCTYPE html><html>",
        "zeros": bytes(1000),
        "cut zip": torch_file(tensors)[:-100],
        "cut legacy": torch_file(tensors, legacy=True)[:200],
        "compressed": packed.getvalue(),
        "cut header": save(tensors)[:100],
        "huge header": (1 << 40).to_bytes(8, "little") + b"{" + bytes(100),
        "deep header": (200_000).to_bytes(8, "little") + b"{" + b'"a":{' * 40_000,
        "list header": (9).to_bytes(8, "little") + b"{" + json.dumps([1, 2]).encode(),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "empty",
        "web page",
        "zeros",
        "cut zip",
        "cut legacy",
        "compressed",
        "cut header",
        "huge header",
        "deep header",
        "list header",
    ],
)
def test_other_content_has_no_names(tmp_path: Path, kind: str, generator: PsfrGenerator) -> None:
    path = tmp_path / "x"
    path.write_bytes(damaged(kind, dict(generator.state_dict())))
    assert read_tensor_names(path) == ()
    assert read_tensor_names(tmp_path) == read_tensor_names(tmp_path / "none") == ()


def test_a_long_pickle_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_names, "MAX_OPCODES", 50)
    (tmp_path / "x.pth").write_bytes(torch_file({f"layer.{n}": 0 for n in range(100)}))
    assert 5 < len(read_tensor_names(tmp_path / "x.pth")) < 50


def test_bundled_files(tmp_path: Path) -> None:
    assets = Path(tensor_names.__file__).parents[1] / "assets"
    for name, architecture in (
        ("psfrgan_256", PSFR_GENERATOR),
        ("parsenet_256", PARSE_NET),
        ("compact_face", COMPACT_FACE_NET),
    ):
        path = assets / f"{name}.safetensors"
        assert recognize(read_tensor_names(path)) is architecture
        assert set(read_tensor_names(path)) == set(load_file(path))
