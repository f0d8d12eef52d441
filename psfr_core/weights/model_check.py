"""Whether a file is the known model it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from ..errors import CheckpointError
from .architectures import DETECTORS, PARSE_NET, PSFR_GENERATOR, Architecture
from .build import build_network, match_architecture
from .folders import hash_of
from .manifest import ModelFile, ModelKind
from .state_dict import read_state_dict

_ACCEPTED: dict[ModelKind, Sequence[Architecture[nn.Module]]] = {
    ModelKind.GENERATOR: (PSFR_GENERATOR,),
    ModelKind.PARSER: (PARSE_NET,),
    ModelKind.DETECTOR: DETECTORS,
}


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
    build_network(state_dict, match_architecture(state_dict, _ACCEPTED[entry.kind], name), name)
