"""Read and write the .safetensors files of this project, which contain metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..files import atomic_write

UNKNOWN = "unknown"


@dataclass(frozen=True)
class WeightMetadata:
    """Name and configuration of the architecture, and license and source of the weights."""

    architecture: str
    config: Mapping[str, object]
    licence: str = UNKNOWN
    source: str = UNKNOWN


def read_metadata(path: Path) -> WeightMetadata | None:
    """Return the metadata of a .safetensors file that ``write_weights`` wrote, or None for other files."""
    try:
        with safe_open(path, "pt") as file:
            entries: dict[str, str] = file.metadata() or {}
        architecture, config = entries["architecture"], dict(json.loads(entries["config"]))
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, RecursionError):
        return None
    licence, source = (entries.get(key, UNKNOWN) for key in ("licence", "source"))
    return WeightMetadata(architecture, config, licence, source)


def stored_types(path: Path) -> str:
    """Return the distinct dtypes in a .safetensors file as a text, such as ``F16 and I64``."""
    with safe_open(path, "pt") as file:
        return " and ".join(sorted({file.get_slice(key).get_dtype() for key in file.keys()}))  # noqa: SIM118


def write_weights(path: Path, tensors: Mapping[str, Tensor], metadata: WeightMetadata) -> None:
    """Write ``tensors`` and ``metadata`` atomically to the .safetensors file ``path``, and create its folder if necessary."""
    entries = {
        "architecture": metadata.architecture,
        "config": json.dumps(metadata.config),
        "licence": metadata.licence,
        "source": metadata.source,
    }
    # Contiguous copies are necessary, because safetensors rejects tensors that share memory.
    copies = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, _in_fixed_order(save(copies, entries)))


def _in_fixed_order(file: bytes) -> bytes:
    """Sort the metadata of a .safetensors file, so that equal weights have equal hashes. safetensors writes it in random order."""
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.loads(file[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors start at a multiple of 8
    return len(text).to_bytes(8, "little") + text + file[end:]
