"""Reading weight files without running anything in them."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..errors import CheckpointError, ModelNotFoundError


def read_checkpoint(path: Path) -> object:
    """Whatever a weight file holds, read without running any code in it.

    The content tells the format, not the suffix. Raises CheckpointError for anything but a readable weight file.
    """
    if not path.is_file():
        raise ModelNotFoundError(f"There is no file {path}. Check the path.")
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror or error}). Check its permissions and its disk."
        ) from error
    if _is_safetensors(start):
        return _read_safetensors(path)
    if start.startswith((b"PK", b"\x80")):  # a zip archive, or the bare pickle of old versions
        return _read_torch(path)
    raise CheckpointError(f"{path.name} {_what_it_is(start)}. Download the weights again, or choose another file.")


def _is_safetensors(start: bytes) -> bool:
    """Whether a file begins like a .safetensors file: eight bytes of length, at most 100 MB, then a JSON header."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= 100_000_000


def _what_it_is(start: bytes) -> str:
    text = start.lstrip().lower()
    if not start:
        return "is empty (0 bytes)"
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "is a web page, not a weight file: the download brought an error or login page"
    if text.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the weights: run git lfs pull"
    return f"is not a weight file: it begins with {start[:8]!r}"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path.name} is damaged or incomplete ({path.stat().st_size:,} bytes; {error}). Download it again."
        ) from error


def _read_torch(path: Path) -> object:
    try:
        with path.open("rb") as file:  # given a path, torch would go by its suffix
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_refusal(path, str(error))) from error
    except Exception as error:  # torch raises whatever the damaged bytes happen to trip over
        if "TorchScript" in str(error):
            raise CheckpointError(_refusal(path, "GLOBAL torch.jit.script")) from error
        raise CheckpointError(
            f"{path.name} is damaged or incomplete ({path.stat().st_size:,} bytes), or not a PyTorch file. "
            "Download it again."
        ) from error


def _refusal(path: Path, reason: str) -> str:
    code = re.search(r"GLOBAL ([\w.]+)", reason)
    found = f"program code ({code[1]})" if code else "something else than tensors"
    return (
        f"{path.name} was refused: it holds {found} and may be unsafe. Nothing of it was run. "
        "Choose a file that holds only a state dict, best a .safetensors file."
    )
