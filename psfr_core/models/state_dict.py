"""Read weight files as float32 tensors by name, without the wrappers and spectral normalization of training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ..checks import is_finite
from ..errors import CheckpointError
from .checkpoint_file import read_checkpoint, reporting_out_of_memory
from .plain_tensors import check_plain

StateDict = dict[str, Tensor]

# Keys under which training programs save weights. Averaged weights come first, because they restore better.
WRAPPERS = ("params_ema", "params", "state_dict", "model")
DATA_PARALLEL_PREFIX = "module."


def read_state_dict(path: Path) -> StateDict:
    """Read the weights in a file as float32 CPU tensors by name, with spectral norm folded. Integers are unchanged.

    Code in the file is never run. Raises ModelNotFoundError for a missing file, and CheckpointError for a file without valid
    weights.
    """
    state_dict = read_tensors(path)
    with reporting_out_of_memory(path):
        floats = to_float32(state_dict)
        try:
            folded = fold_spectral_norm(floats)
        except CheckpointError as error:
            raise CheckpointError(f"{path.name} is damaged or incomplete: {error} Download it again.") from error
    for key, tensor in folded.items():
        if tensor.is_floating_point() and not is_finite(tensor):
            raise CheckpointError(
                f"{path.name} is damaged: {key} holds NaN or infinite values. Download or train it again."
            )
    return folded


def read_tensors(path: Path) -> StateDict:
    """Read the tensors of the network in a file by name, with their stored dtypes, on the CPU.

    Code in the file is never run. Raises ModelNotFoundError for a missing file, and CheckpointError for a file without valid
    tensors.
    """
    checkpoint = read_checkpoint(path)
    tensors = unwrap(checkpoint)
    if not tensors:
        raise CheckpointError(
            f"{path.name} holds no weights but {_content(checkpoint)}. Tensors by name are needed, at the top level or under "
            f"one of {', '.join(WRAPPERS)}. Choose a file with the state dict of a network."
        )
    check_plain(path.name, tensors, path.stat().st_size)
    return tensors


def unwrap(checkpoint: object) -> StateDict:
    """Return the tensors of the network in ``checkpoint`` without the wrappers and prefixes of training programs.

    The result is empty if there are no tensors.
    """
    for _ in WRAPPERS:  # the nesting depth is limited, because a pickle can contain itself
        if isinstance(checkpoint, Mapping):
            inner = (checkpoint.get(name) for name in WRAPPERS)
            checkpoint = next((value for value in inner if isinstance(value, Mapping)), checkpoint)
    entries = checkpoint.items() if isinstance(checkpoint, Mapping) else ()
    tensors = {key: value for key, value in entries if isinstance(key, str) and isinstance(value, Tensor)}
    if all(key.startswith(DATA_PARALLEL_PREFIX) for key in tensors):
        return {key.removeprefix(DATA_PARALLEL_PREFIX): value for key, value in tensors.items()}
    return tensors


def to_float32(state_dict: StateDict) -> StateDict:
    """Detach all tensors, and convert floating-point tensors to float32."""
    tensors = {key: tensor.detach() for key, tensor in state_dict.items()}
    return {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}


def fold_spectral_norm(state_dict: StateDict) -> StateDict:
    """Fold every spectral normalization into its weight: ``weight = W / (u^T W v)``.

    Supports the names of ``torch.nn.utils.spectral_norm`` (``weight_orig``, ``weight_u``, ``weight_v``) and of
    ``torch.nn.utils.parametrizations.spectral_norm``. W is flattened to a matrix with one row per output channel, as for linear
    layers and convolutions. Raises CheckpointError if a vector is missing or does not fit.
    """
    folded = dict(state_dict)
    for key in state_dict:
        for stored, vectors in (
            (".weight_orig", (".weight_u", ".weight_v")),
            (".parametrizations.weight.original", (".parametrizations.weight.0._u", ".parametrizations.weight.0._v")),
        ):
            if key.endswith(stored):
                layer = key.removesuffix(stored)
                folded[f"{layer}.weight"] = _normalized(folded, key, [layer + vector for vector in vectors])
    return folded


def _content(checkpoint: object) -> str:
    kind = f"a {type(checkpoint).__name__}"
    if not isinstance(checkpoint, Mapping):
        return kind
    keys = ", ".join(str(key)[:40] for key in list(checkpoint)[:5])
    return f"{kind} with the keys {keys}" if keys else f"{kind} without keys"


def _normalized(folded: StateDict, weight_key: str, vector_keys: list[str]) -> Tensor:
    missing = [key for key in vector_keys if key not in folded]
    if missing:
        raise CheckpointError(f"it has {weight_key} but lacks {', '.join(missing)}.")
    for key in (weight_key, *vector_keys):
        if not folded[key].is_floating_point():
            raise CheckpointError(f"{key} is {folded[key].dtype}, not floating point.")
    weight = folded.pop(weight_key).double()
    u, v = (folded.pop(key).double() for key in vector_keys)
    if weight.dim() < 2 or (u.shape, v.shape) != (weight.shape[:1], weight[0].flatten().shape):
        raise CheckpointError(f"{weight_key} does not fit {' and '.join(vector_keys)}.")
    return (weight / (u @ (weight.flatten(1) @ v))).float()
