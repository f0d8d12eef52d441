"""Convert weight files to .safetensors files with metadata."""

from __future__ import annotations

from pathlib import Path

import torch

from ..errors import OptionError
from ..files import expand_user, sha256_of
from .architectures import ARCHITECTURES
from .build import build_network, match_architecture
from .library import ModelLibrary
from .manifest import MODEL_FILES
from .metadata import UNKNOWN, WeightMetadata, read_metadata, write_weights
from .model_check import is_published_file
from .state_dict import StateDict, read_state_dict

SUFFIX = ".safetensors"


def convert_weights(
    source: str | Path,
    target: str | Path,
    *,
    half: bool = False,
    overwrite: bool = False,
    licence: str | None = None,
) -> str:
    """Write the weights of ``source`` (a model name or a path) to the .safetensors file ``target``, and return its SHA-256.

    Spectral norm is folded, and ``half`` stores float16. The metadata contains the network's configuration, the license and the
    source. ``licence`` replaces the known license. An existing target is replaced only with ``overwrite``.
    Raises OptionError for a target that exists or has another suffix and for weights too large for float16, and the errors of
    ``read_with_metadata``. In these cases, nothing is written.
    """
    target = expand_user(target)
    check_target(target, overwrite=overwrite)
    state_dict, metadata = read_with_metadata(source, licence=licence)
    write_weights(target, to_half(state_dict) if half else state_dict, metadata)
    return sha256_of(target)


def read_with_metadata(source: str | Path, *, licence: str | None = None) -> tuple[StateDict, WeightMetadata]:
    """Return the folded weights of ``source`` (a model name or a path) and their metadata.

    ``licence`` replaces the known license. Raises ModelNotFoundError for a missing file, CheckpointError unless the weights are
    those of a complete known network, and MissingPackageError without the package that builds the network.
    """
    path = ModelLibrary().locate(source)
    state_dict = read_state_dict(path)
    architecture = match_architecture(state_dict, ARCHITECTURES, path.name)
    build_network(state_dict, architecture, path.name)
    known_licence, origin = provenance(path)
    metadata = WeightMetadata(architecture.name, architecture.config(state_dict), licence or known_licence, origin)
    return state_dict, metadata


def to_half(state_dict: StateDict) -> StateDict:
    """Convert the floating-point tensors to float16. Raise OptionError if a value is too large."""
    halves = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in state_dict.items()}
    overflown = [key for key, tensor in halves.items() if not torch.isfinite(tensor).all()]
    if overflown:
        raise OptionError(
            f"{', '.join(overflown[:3])} does not fit into float16 (at most 65504). Convert without half."
        )
    return halves


def provenance(path: Path) -> tuple[str, str]:
    """Return the license and the source of a weight file.

    They come from the metadata of the file, or from the known model with the same file name, size and hash. Unknown sizes and
    hashes are not compared. For other files, the license is ``UNKNOWN``, and the source is the file name.
    """
    written = read_metadata(path)
    if written is not None:
        return written.licence, written.source
    for entry in MODEL_FILES:
        if entry.file_name == path.name and is_published_file(entry, path):
            origin = f"{entry.file_name}, {entry.url}" if entry.url else entry.file_name
            return entry.licence, origin if entry.sha256 else f"{origin} (by its name: the hash is not known)"
    return UNKNOWN, path.name


def check_target(target: Path, *, overwrite: bool) -> None:
    """Raise OptionError if ``target`` does not end in .safetensors, or if it exists and ``overwrite`` is false."""
    if target.suffix != SUFFIX:
        raise OptionError(f"The converted file must end in {SUFFIX}, got {target.name}.")
    if target.exists() and not overwrite:
        raise OptionError(f"{target} exists already. Choose another name, or allow it to be overwritten.")
