"""Read the names of the tensors in a weight file without loading them."""

from __future__ import annotations

import io
import json
import pickletools
import zipfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, BinaryIO

from .pickle_limits import MAX_OPCODES
from .state_dict import DATA_PARALLEL_PREFIX

MAX_DESCRIPTION_BYTES = 1 << 25  # maximum size of the header or pickle, which needs about 200 bytes per tensor
_LEGACY_CONTENT = 3  # index of the content after the pickles of the magic number, the protocol and the system
_STORAGE_WORDS = frozenset({"storage", "cpu"})  # PyTorch writes these words and a number for each tensor
_SPECTRAL_NORM = (".weight_orig", ".parametrizations.weight.original")


def read_tensor_names(path: Path) -> tuple[str, ...]:
    """Return the names of the tensors in ``path`` as in ``read_state_dict``, or an empty tuple for other or damaged files.

    Only the header of a .safetensors file or the pickle of a .pth file is read. The pickle is not run. The result can contain
    further names: vectors of spectral normalizations, and other texts in the pickle.
    """
    try:
        with path.open("rb") as file:
            names = list(_stored_names(file))
    except Exception:  # damaged bytes can make zipfile and pickletools raise errors of any type
        return ()
    return tuple(dict.fromkeys(map(_folded, names)))


def _stored_names(file: BinaryIO) -> Iterable[str]:
    start = file.read(9)
    if start[8:] == b"{":
        return _header_names(file, int.from_bytes(start[:8], "little"))
    if start.startswith(b"PK"):
        return _archive_names(file)
    file.seek(0)
    return _pickle_names(file, _LEGACY_CONTENT) if start.startswith(b"\x80") else ()


def _header_names(file: BinaryIO, size: int) -> Iterable[str]:
    if size > MAX_DESCRIPTION_BYTES:
        return ()
    file.seek(8)
    return [name for name in json.loads(file.read(size)) if name != "__metadata__"]


def _archive_names(file: BinaryIO) -> Iterator[str]:
    with zipfile.ZipFile(file) as archive:
        for record in archive.infolist():
            is_small = record.compress_type == zipfile.ZIP_STORED and record.file_size <= MAX_DESCRIPTION_BYTES
            if is_small and record.filename.lower().endswith("data.pkl"):
                yield from _pickle_names(io.BytesIO(archive.read(record)), 0)


def _pickle_names(file: IO[bytes], index: int) -> Iterator[str]:
    """Yield the texts in the pickle with this ``index`` in ``file``."""
    steps = ((number, *step) for number in range(index + 1) for step in pickletools.genops(file))
    for number, opcode, argument, _ in islice(steps, MAX_OPCODES):
        if number != index or not isinstance(argument, str) or opcode.name == "GLOBAL":
            continue
        if argument not in _STORAGE_WORDS and not argument.isdigit():
            yield argument


def _folded(name: str) -> str:
    name = name.removeprefix(DATA_PARALLEL_PREFIX)
    for suffix in _SPECTRAL_NORM:
        if name.endswith(suffix):
            return name.removesuffix(suffix) + ".weight"
    return name
