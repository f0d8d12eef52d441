"""Test files without weights, and pickle files that would execute code."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file
from torch import Tensor, nn

from psfr_core.errors import CheckpointError, ModelNotFoundError
from psfr_core.models.checkpoint_file import read_checkpoint
from psfr_core.models.state_dict import read_state_dict

TENSORS = {"w": torch.arange(2000.0)}


class Attack:
    """Create a folder when a pickle of this object is loaded without protection."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "old.pt", "renamed.safetensors"])
def test_every_format_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.safetensors":
        save_file(TENSORS, path)
    else:
        torch.save(TENSORS, path, _use_new_zipfile_serialization=name != "old.pt")
    torch.testing.assert_close(read_state_dict(path), TENSORS)


def test_integers_of_any_type_are_read(tmp_path: Path) -> None:
    tensors = {"w": torch.ones(2), "n": torch.tensor([1, 65535], dtype=torch.uint16)}
    save_file(tensors, tmp_path / "a.safetensors")
    assert read_state_dict(tmp_path / "a.safetensors").keys() == {"w", "n"}


def test_safetensors_headers_of_any_length_are_read(tmp_path: Path) -> None:
    for words in range(60):  # the first byte of the length reaches the codes of "{", "[" and "<"
        path = tmp_path / "a.safetensors"
        path.write_bytes(save({"w": torch.ones(1)}, {"k": "x" * words * 8}))
        assert read_state_dict(path).keys() == {"w"}


@pytest.mark.parametrize("writer", ["zip", "old zipless", "bare pickle"])
def test_program_code_is_refused_and_not_run(tmp_path: Path, writer: str) -> None:
    path, trace = tmp_path / "evil.pth", tmp_path / "trace"
    evil = {"const_input": torch.zeros(1), "extra": Attack(trace)}
    if writer == "bare pickle":
        path.write_bytes(pickle.dumps(Attack(trace), protocol=2))
    else:
        torch.save(evil, path, _use_new_zipfile_serialization=writer == "zip")
    with pytest.raises(CheckpointError, match=r"evil\.pth was refused.*program code \(\w+\.mkdir\).*No code was run"):
        read_checkpoint(path)
    assert not trace.exists()


def test_an_unprotected_load_runs_the_attack(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Attack(tmp_path / "trace")))  # noqa: S301
    assert (tmp_path / "trace").exists()


def test_a_whole_pickled_network_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(
        CheckpointError, match=r"program code \(torch\.nn\.modules\.linear\.Linear\).*only a state dict"
    ):
        read_checkpoint(tmp_path / "module.pth")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "is a web page, not a weight file"),
        (b"<html>sign in</html>", "is a web page, not a weight file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "is a Git LFS pointer.*git lfs pull"),
        (b"\xff\xd8\xff\xe0 a JPEG picture", r"is not a weight file: it begins with b'\\xff\\xd8"),
        (b'{"json": [1]}', "is not a weight file: it begins with"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_files_of_other_formats_are_named(tmp_path: Path, content: bytes, words: str, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"^x{suffix} {words}"):
        read_checkpoint(path)


def _saved(path: Path, tensors: dict[str, Tensor], style: str) -> bytes:
    if style == "safetensors":
        return save(tensors)
    torch.save(tensors, path, _use_new_zipfile_serialization=style == "zip")
    return path.read_bytes()


@pytest.mark.parametrize("style", ["safetensors", "zip", "zipless"])
@pytest.mark.parametrize("part", [0.003, 0.02, 0.5, 0.99])
def test_truncated_files_are_refused(tmp_path: Path, style: str, part: float) -> None:
    path = tmp_path / "half.pth"
    content = _saved(path, TENSORS, style)
    path.write_bytes(content[: round(len(content) * part)])
    with pytest.raises(CheckpointError, match=r"^half\.pth .*(incomplete|begins with|refused)"):
        read_checkpoint(path)


def test_a_zip_archive_without_weights_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(
        CheckpointError, match=r"x\.pth is damaged or incomplete \(121 bytes; torch\.load cannot read it"
    ):
        read_checkpoint(tmp_path / "x.pth")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="There is no file"):
        read_checkpoint(tmp_path / "x.pth")


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "x.pth").touch()
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CheckpointError, match=r"x\.pth cannot be read \(Permission denied\)"):
        read_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize(
    ("checkpoint", "found"),
    [
        ({}, "a dict without keys"),
        ({"epoch": 1, "g_ema": {"w": torch.zeros(1)}}, "a dict with the keys epoch, g_ema"),
        (torch.zeros(2), "a Tensor"),
        ([torch.zeros(2)], "a list"),
    ],
)
def test_a_checkpoint_without_weights_is_refused(tmp_path: Path, checkpoint: object, found: str) -> None:
    torch.save(checkpoint, tmp_path / "x.pth")
    with pytest.raises(
        CheckpointError, match=rf"x\.pth holds no weights but {found}\. .*params_ema, params, state_dict"
    ):
        read_state_dict(tmp_path / "x.pth")


@pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch has deprecated some of these types
@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("meta", lambda w: w.to("meta")),
        ("quantized", lambda w: torch.quantize_per_tensor(w, 0.1, 0, torch.qint8)),
        ("complex", lambda w: w.to(torch.complex64)),
        ("sparse", lambda w: w.to_sparse()),
        ("nested", lambda w: torch.nested.nested_tensor([w])),
    ],
)
def test_unusual_tensor_types_are_refused(tmp_path: Path, kind: str, make: Callable[[Tensor], Tensor]) -> None:
    torch.save({"a": torch.ones(2), "b.weight": make(torch.ones(2))}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=rf"b\.weight in x\.pth is a {kind} .*plain floating point"):
        read_state_dict(tmp_path / "x.pth")


def test_nan_and_infinite_weights_are_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2), "b": torch.tensor([1.0, float("nan")])}, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="b holds NaN or infinite values"):
        read_state_dict(tmp_path / "x.safetensors")


def test_errors_about_incomplete_weights_name_the_file(tmp_path: Path) -> None:
    save_file({"a.weight_orig": torch.zeros(2, 2)}, tmp_path / "x.safetensors")
    with pytest.raises(
        CheckpointError, match=r"x\.safetensors is damaged or incomplete: it has a\.weight_orig but lacks"
    ):
        read_state_dict(tmp_path / "x.safetensors")
