"""Test weight files that are damaged, or that try to exhaust memory, run for minutes, or crash the program."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from psfr_core.errors import CheckpointError
from psfr_core.models import checkpoint_file, pickle_limits, state_dict
from psfr_core.models.architectures import PSFR_GENERATOR
from psfr_core.models.build import build_network
from psfr_core.models.loader import load_generator, load_parse_net
from psfr_core.models.metadata import read_metadata
from psfr_core.models.state_dict import read_state_dict
from psfr_core.networks.parse_net import ParseNet
from psfr_core.networks.psfr_generator import PsfrGenerator

TENSORS = {"a.weight": torch.arange(60.0).reshape(3, 20), "a.bias": torch.ones(3), "n": torch.tensor(7)}


def torch_file(content: object, *, legacy: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def with_pickle(pickle: bytes) -> bytes:
    """Return a zip archive of PyTorch whose pickle is replaced by ``pickle``."""
    source, target = zipfile.ZipFile(io.BytesIO(torch_file({}))), io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            archive.writestr(name, pickle if name.endswith("data.pkl") else source.read(name))
    return target.getvalue()


def compressed(file: bytes) -> bytes:
    source, target = zipfile.ZipFile(io.BytesIO(file)), io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            archive.writestr(name, source.read(name))
    return target.getvalue()


def flipped(content: bytes, bit: int) -> bytes:
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def read_file(path: Path, content: bytes) -> dict[str, Tensor]:
    path.write_bytes(content)
    return read_state_dict(path)


def read(path: Path, content: bytes) -> dict[str, Tensor] | None:
    """Return the tensors in a file with this ``content``, or None if the file is refused."""
    try:
        return read_file(path, content)
    except CheckpointError:
        return None


def test_a_flipped_bit_of_a_zip_is_found_or_changes_nothing(tmp_path: Path) -> None:
    content, found = torch_file(TENSORS), 0
    for bit in random.Random(3).sample(range(8 * len(content)), 100):
        tensors = read(tmp_path / "x.pth", flipped(content, bit))
        found += tensors is None
        if tensors is not None:
            torch.testing.assert_close(tensors, TENSORS, rtol=0, atol=0)
    assert found > 30


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("style", ["legacy", "safetensors"])
def test_a_flipped_bit_without_checksums_is_refused_or_leaves_tensors(tmp_path: Path, style: str) -> None:
    content = save(TENSORS) if style == "safetensors" else torch_file(TENSORS, legacy=True)
    for bit in random.Random(4).sample(range(8 * len(content)), 200):
        tensors = read(tmp_path / "x.pth", flipped(content, bit))
        assert tensors is None or all(tensor.numel() <= 60 for tensor in tensors.values())


@pytest.mark.parametrize("style", ["zip", "legacy", "safetensors"])
def test_every_truncated_file_is_refused(tmp_path: Path, style: str) -> None:
    content = save(TENSORS) if style == "safetensors" else torch_file(TENSORS, legacy=style == "legacy")
    assert read(tmp_path / "x.pth", content) is not None
    for size in random.Random(5).sample(range(len(content)), 100):
        assert read(tmp_path / "x.pth", content[:size]) is None


def test_a_changed_number_is_reported_with_its_record(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    content = torch_file(TENSORS)
    path.write_bytes(content.replace(struct.pack("<2f", 4, 5), struct.pack("<2f", 4, 6)))
    with pytest.raises(
        CheckpointError, match=r"x\.pth is damaged .*the checksum of its record 'archive/data/0' is wrong"
    ):
        read_state_dict(path)


def test_a_record_marked_as_a_folder_is_damage(tmp_path: Path) -> None:
    content = bytearray(torch_file(TENSORS))
    entry = content.rindex(b"archive/data/0") - 46  # start of the record in the central directory
    content[entry + 38] |= 0x10  # torch.load would return uninitialized memory
    with pytest.raises(CheckpointError, match="a record is marked as a folder"):
        read_file(tmp_path / "x.pth", bytes(content))


@pytest.mark.parametrize("key", ["a" * 1000, "a\x1b[2J", "a\nb"])
@pytest.mark.parametrize("style", ["zip", "safetensors"])
def test_names_cannot_flood_or_control_a_terminal(tmp_path: Path, key: str, style: str) -> None:
    tensors = {key: torch.ones(1)}
    with pytest.raises(
        CheckpointError, match=r"^x\.pth holds a tensor called 'a[^\n\x1b]{,60}, which is not a valid name"
    ) as error:
        read_file(tmp_path / "x.pth", save(tensors) if style == "safetensors" else torch_file(tensors))
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("legacy", [False, True])
def test_a_value_repeated_without_end_is_refused(tmp_path: Path, generator: PsfrGenerator, legacy: bool) -> None:
    tensors = {**generator.state_dict(), "const_input": torch.zeros(1).expand(1, 2**36, 16, 16)}
    (tmp_path / "x.pth").write_bytes(torch_file(tensors, legacy=legacy))
    with pytest.raises(CheckpointError, match=r"x\.pth have 70,\d{3},\d{3},\d{3},\d{3} bytes, but the file has only"):
        load_generator(tmp_path / "x.pth")


def test_many_views_of_one_tensor_are_refused(tmp_path: Path) -> None:
    shared = torch.zeros(2000)
    (tmp_path / "x.pth").write_bytes(torch_file({str(number): shared for number in range(100)}))
    with pytest.raises(CheckpointError, match=r"have 800,000 bytes, but the file has only \d\d,\d{3}: some repeat"):
        read_state_dict(tmp_path / "x.pth")


def test_half_precision_and_wrapped_copies_are_accepted(tmp_path: Path) -> None:
    half = {key: tensor.half() for key, tensor in TENSORS.items()}
    (tmp_path / "x.pth").write_bytes(torch_file({"params": half, "params_ema": half}))
    torch.testing.assert_close(read_state_dict(tmp_path / "x.pth")["a.weight"], TENSORS["a.weight"])


@pytest.mark.parametrize("shape", [(2**40, 0), (0, 2**40), (0,)])
@pytest.mark.parametrize("key", ["const_input", "head.1.norm_0.conv1.0.weight", "body.0.1.weight"])
def test_tensors_without_values_are_refused(
    tmp_path: Path, generator: PsfrGenerator, key: str, shape: tuple[int, ...]
) -> None:
    (tmp_path / "x.pth").write_bytes(torch_file({**generator.state_dict(), key: torch.zeros(shape)}))
    with pytest.raises(CheckpointError, match=rf"{key} in x\.pth has the shape \({shape[0]},.*and so no values"):
        load_generator(tmp_path / "x.pth")


def test_the_header_of_safetensors_is_checked_before_its_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2**40, 0], "data_offsets": [0, 0]}}).encode()
    (tmp_path / "empty.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    (tmp_path / "many.safetensors").write_bytes(save({str(number): torch.ones(1) for number in range(5000)}))
    monkeypatch.setattr(checkpoint_file, "load_file", pytest.fail)
    with pytest.raises(CheckpointError, match=r"w in empty\.safetensors has the shape \(1099511627776, 0\)"):
        read_state_dict(tmp_path / "empty.safetensors")
    with pytest.raises(CheckpointError, match=r"many\.safetensors holds 5,000 tensors.*more than 4,096"):
        read_state_dict(tmp_path / "many.safetensors")


@pytest.mark.parametrize(
    ("pickle", "words"),
    [
        (b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "calls bytearray"),
        (b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "calls bytearray"),
        (b"\x80\x02}K\x01" + b"\x85" * 300_000 + b"K\x01s.", "nests more than 100 tuples"),
        (b"\x80\x02}K\x01" + b"K\x01\x86q\x01" * 100_000 + b"K\x01s.", "nests more than 100 tuples"),
        (b"\x80\x02]" + b"Na" * 1500 + b".", "describes more objects"),
    ],
    ids=["bytearray", "old name", "tuples", "remembered tuples", "many objects"],
)
@pytest.mark.parametrize("legacy", [False, True])
def test_pickles_beyond_the_limits_are_not_loaded(
    tmp_path: Path, pickle: bytes, words: str, legacy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "load", pytest.fail)
    monkeypatch.setattr(pickle_limits, "MAX_OPCODES", 3000)
    (tmp_path / "x.pth").write_bytes(pickle if legacy else with_pickle(pickle))
    with pytest.raises(CheckpointError, match=rf"x\.pth .*{words}"):
        read_state_dict(tmp_path / "x.pth")


def test_a_zip_archive_after_the_pickle_does_not_hide_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "load", pytest.fail)
    hidden = b"\x80\x02}K\x01" + b"\x85" * 300_000 + b"K\x01s."
    (tmp_path / "x.pth").write_bytes(hidden + torch_file({"w": torch.zeros(1)}))
    with pytest.raises(CheckpointError, match="nests more than 100 tuples"):
        read_state_dict(tmp_path / "x.pth")


def test_compressed_records_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(compressed(torch_file({"w": torch.zeros(1_000_000)})))
    with pytest.raises(CheckpointError, match="its records are compressed, which PyTorch never does"):
        read_state_dict(tmp_path / "x.pth")


def test_a_legacy_file_that_claims_more_than_it_holds_is_damaged(tmp_path: Path) -> None:
    content = torch_file({"w": torch.zeros(7777)}, legacy=True)
    size = b"M" + struct.pack("<H", 7777)
    assert content.count(size) == 2  # the sizes of the storage and of the tensor
    (tmp_path / "x.pth").write_bytes(content.replace(size, b"\x8a\x07" + (2**50).to_bytes(7, "little")))
    with pytest.raises(CheckpointError, match=r"x\.pth is damaged or incomplete"):
        read_state_dict(tmp_path / "x.pth")


@pytest.mark.parametrize(
    ("key", "words"),
    [("body.{}.1.weight", "1 to 10 stages"), ("head.0.{}", "unexpected")],
)
def test_generators_with_too_many_layers_are_refused(
    tmp_path: Path, generator: PsfrGenerator, key: str, words: str
) -> None:
    more = {key.format(number): torch.ones(1) for number in range(3000)}
    (tmp_path / "x.safetensors").write_bytes(save({**more, **generator.state_dict()}))
    with pytest.raises(CheckpointError, match=words):
        load_generator(tmp_path / "x.safetensors")


def test_parsers_with_too_many_blocks_are_refused(tmp_path: Path, parse_net: ParseNet) -> None:
    more = {f"body.{number}.conv1.conv2d.weight": torch.ones(1) for number in range(3000)}
    (tmp_path / "x.safetensors").write_bytes(save({**more, **parse_net.state_dict()}))
    with pytest.raises(CheckpointError, match="0 to 100 residual blocks, got 3000"):
        load_parse_net(tmp_path / "x.safetensors")


def test_generators_with_too_many_channels_are_refused(generator: PsfrGenerator) -> None:
    tensors = {**generator.state_dict(), "const_input": torch.zeros(1).expand(1, 2**40, 1, 1)}
    with pytest.raises(CheckpointError, match="incomplete or altered"):
        build_network(tensors, PSFR_GENERATOR, "x.pth")


def test_vectors_that_would_broadcast_to_a_large_matrix_are_refused(tmp_path: Path) -> None:
    tensors = {"a.weight_orig": torch.ones(9000, 1), "a.weight_u": torch.ones(9000), "a.weight_v": torch.ones(1, 9000)}
    (tmp_path / "x.pth").write_bytes(torch_file(tensors))
    with pytest.raises(CheckpointError, match=r"a\.weight_orig does not fit a\.weight_u and a\.weight_v"):
        read_state_dict(tmp_path / "x.pth")


@pytest.mark.parametrize("config", ["[" * 100_000, "1", "[1]", '"text"', "null", '{"a": ' * 100_000])
def test_invalid_configurations_in_metadata_are_ignored(tmp_path: Path, config: str) -> None:
    (tmp_path / "x.safetensors").write_bytes(save(TENSORS, {"architecture": "parse_net", "config": config}))
    assert read_metadata(tmp_path / "x.safetensors") is None


def no_memory(*_: object, **__: object) -> None:
    raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: 9 bytes")


@pytest.mark.parametrize(
    ("module", "name", "content"),
    [
        (checkpoint_file, "load_file", save(TENSORS)),
        (torch, "load", torch_file(TENSORS)),
        (torch, "load", torch_file(TENSORS, legacy=True)),
        (state_dict, "to_float32", torch_file(TENSORS)),
    ],
    ids=["safetensors", "zip", "legacy", "converting"],
)
def test_running_out_of_memory_is_not_reported_as_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object, name: str, content: bytes
) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    monkeypatch.setattr(module, name, no_memory)
    monkeypatch.setattr(torch, "empty", no_memory)
    with pytest.raises(CheckpointError, match=r"^x\.pth \([\d,]+ bytes\) does not fit into the free memory"):
        read_state_dict(tmp_path / "x.pth")
