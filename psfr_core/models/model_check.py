"""Whether a file is the known model it stands for."""

from __future__ import annotations

from pathlib import Path

from ..errors import CheckpointError
from .architectures import ARCHITECTURES
from .build import build_network, match_architecture
from .folders import hash_of
from .manifest import ModelFile
from .state_dict import read_state_dict


def check_model_file(entry: ModelFile, path: Path, name: str) -> None:
    """Raise CheckpointError unless ``path``, which is or will be called ``name``, is the model ``entry``.

    The published file must have its published hash. Where none is known, and for a converted copy, the weights must load as a
    network of its kind. MissingPackageError where such a network cannot be built.
    """
    if name == entry.file_name and entry.sha256 is not None:
        found = hash_of(path)
        if found != entry.sha256:
            raise CheckpointError(f"it has the SHA-256 {found}, expected {entry.sha256}.")
        return
    state_dict = read_state_dict(path)
    accepted = [architecture for architecture in ARCHITECTURES if architecture.kind is entry.kind]
    build_network(state_dict, match_architecture(state_dict, accepted, name), name)
