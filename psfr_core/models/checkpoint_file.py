"""Read weight files without running the code that they may contain."""

from __future__ import annotations

import pickle
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from ..errors import CheckpointError, ModelNotFoundError, is_out_of_memory
from .pickle_limits import find_excess
from .plain_tensors import check_shapes
from .torch_archive import find_damage


def read_checkpoint(path: Path) -> object:
    """Return the content of a weight file without running code in the file.

    The format is recognized from the content, not from the suffix. The checksums of zip archives are verified; other formats
    have none. Raises ModelNotFoundError for a missing file, and CheckpointError for a file that is not a readable weight file.
    """
    if not path.is_file():
        raise ModelNotFoundError(f"There is no file {path}. Check the path.")
    try:
        with path.open("rb") as file, reporting_out_of_memory(path):
            start = file.read(512)
            if _is_safetensors(start):
                return _read_safetensors(path)
            if start.startswith((b"PK", b"\x80")):  # a zip archive, or the plain pickle of old versions
                return _read_torch(path, file)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror or error}). Check its permissions and its disk."
        ) from error
    raise CheckpointError(f"{path.name} {_describe_start(start)}. Download the weights again, or choose another file.")


@contextmanager
def reporting_out_of_memory(path: Path) -> Generator[None]:
    """Turn out-of-memory errors inside the block, which reads or converts the file ``path``, into a CheckpointError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise CheckpointError(
            f"{path.name} ({path.stat().st_size:,} bytes) does not fit into the free memory. "
            "Close other programs, or choose a smaller model."
        ) from error


def _is_safetensors(start: bytes) -> bool:
    """Return whether a file starts like a .safetensors file, with an 8-byte length of at most 100 MB and a JSON header."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= 100_000_000


def _describe_start(start: bytes) -> str:
    """Describe a file that is not a weight file. The description is based on its first bytes, ``start``."""
    text = start.lstrip().lower()
    if not start:
        return "is empty (0 bytes)"
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "is a web page, not a weight file: an error or login page was downloaded"
    if text.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the weights: run git lfs pull"
    return f"is not a weight file: it begins with {start[:8]!r}"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, "pt") as file:  # reads only the header
            check_shapes(path.name, {key: file.get_slice(key).get_shape() for key in file.keys()})  # noqa: SIM118
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error


def _read_torch(path: Path, file: BinaryIO) -> object:
    damage = find_damage(file)
    if damage:
        raise _damaged(path, damage)
    excess = find_excess(file)
    if excess:
        raise CheckpointError(f"{path.name} was refused: it {excess}. Choose another file, preferably .safetensors.")
    file.seek(0)
    try:
        # If torch.load gets a path, it chooses the format by the suffix.
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_refusal(path, str(error))) from error
    except Exception as error:  # damaged bytes can make torch raise errors of any type
        if "TorchScript" in str(error):
            raise CheckpointError(_refusal(path, "GLOBAL torch.jit.script")) from error
        if is_out_of_memory(error) and not _can_allocate(path.stat().st_size):
            raise
        raise _damaged(path, "torch.load cannot read it") from error


def _can_allocate(size: int) -> bool:
    """Return whether twice the ``size`` of a file fits into memory.

    If loading needs more memory, the file declares larger tensors than it stores, so it is damaged.
    """
    try:
        torch.empty(2 * size, dtype=torch.uint8)
    except (MemoryError, RuntimeError):
        return False
    return True


def _damaged(path: Path, reason: str) -> CheckpointError:
    size = path.stat().st_size
    return CheckpointError(f"{path.name} is damaged or incomplete ({size:,} bytes; {reason}). Download it again.")


def _refusal(path: Path, reason: str) -> str:
    code = re.search(r"GLOBAL ([\w.]{1,100})", reason)
    found = f"program code ({code[1]})" if code else "objects other than tensors"
    return (
        f"{path.name} was refused: it contains {found} and may be unsafe. No code was run. "
        "Choose a file that contains only a state dict, preferably a .safetensors file."
    )
