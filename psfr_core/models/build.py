"""Build networks from folded state dicts: recognize their keys, infer sizes from shapes, and load strictly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..errors import CheckpointError, OptionError
from .architectures import Architecture, describe, recognize
from .manifest import ModelKind, name_choices
from .state_dict import StateDict

N = TypeVar("N", bound=nn.Module)
_KEYS_SHOWN = 3


def match_architecture(state_dict: StateDict, accepted: Sequence[Architecture[N]], file_name: str) -> Architecture[N]:
    """Return the architecture among ``accepted`` that matches the keys of ``state_dict``, the weights in the file ``file_name``.

    Raises a CheckpointError that names the content of the file and the possible choices if none matches.
    """
    for architecture in accepted:
        if architecture.matches(state_dict):
            return architecture
    raise CheckpointError(
        f"{file_name} is {describe(state_dict)}, but {' or '.join(known.title for known in accepted)} is needed. "
        f"{_advice(state_dict, accepted)}"
    )


def build_network(state_dict: StateDict, architecture: Architecture[N], file_name: str) -> N:
    """Build the network of ``architecture`` with the weights in ``state_dict`` (folded, float32), in eval mode.

    The network uses the tensors without a copy. Raises CheckpointError unless the names, shapes and types of all tensors fit, and
    MissingPackageError without the package that builds the network.
    """
    try:
        with torch.device("meta"):  # avoids the allocation of weights that are replaced immediately
            network = architecture.build(state_dict)
    except (KeyError, IndexError, OptionError, RuntimeError) as error:  # sizes that overflow raise RuntimeError
        raise CheckpointError(
            f"{file_name} looks like {architecture.title} but is incomplete or altered ({error}). Download it again."
        ) from error
    _check_tensors(network, state_dict, f"{file_name} looks like {architecture.title}")
    network.load_state_dict(state_dict, strict=True, assign=True)
    return network.eval()


def _advice(state_dict: StateDict, accepted: Sequence[Architecture[N]]) -> str:
    kinds: set[ModelKind] = {architecture.kind for architecture in accepted}
    advice = name_choices(kinds.pop() if len(kinds) == 1 else None)
    known = recognize(state_dict)
    return f"{advice} This file can be chosen as the {known.kind.value}." if known else advice


def _check_tensors(network: nn.Module, state_dict: StateDict, subject: str) -> None:
    expected: dict[str, Tensor] = network.state_dict()
    problems = {
        # Old files lack the batch counters of batch norm, which inference does not need.
        "missing": [key for key in expected if key not in state_dict and not key.endswith("num_batches_tracked")],
        "unexpected": [key for key in state_dict if key not in expected],
        "of another shape": [
            f"{key} {tuple(tensor.shape)} instead of {tuple(expected[key].shape)}"
            for key, tensor in state_dict.items()
            if key in expected and tensor.shape != expected[key].shape
        ],
        "of another type": [
            f"{key} {tensor.dtype} instead of floating point"
            for key, tensor in state_dict.items()
            if key in expected and expected[key].is_floating_point() and not tensor.is_floating_point()
        ],
    }
    found = [f"{len(keys)} {problem} ({_first(keys)})" for problem, keys in problems.items() if keys]
    if found:
        raise CheckpointError(f"{subject} but its tensors do not fit: {'; '.join(found)}. Choose another file.")


def _first(keys: Sequence[str]) -> str:
    return ", ".join(keys[:_KEYS_SHOWN]) + (", ..." if len(keys) > _KEYS_SHOWN else "")
