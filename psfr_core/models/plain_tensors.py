"""Check that tensors read from a file are plain weights whose values the file contains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..errors import CheckpointError

MAX_TENSORS = 4096  # the largest supported network has about 600
MAX_NAME_LENGTH = 300


def check_shapes(file_name: str, shapes: Mapping[str, Sequence[int]]) -> None:
    """Raise CheckpointError for too many tensors, and for tensors without values or with invalid names.

    ``shapes`` are the shapes of the tensors in ``file_name`` by their names.
    """
    if len(shapes) > MAX_TENSORS:
        raise CheckpointError(
            f"{file_name} holds {len(shapes):,} tensors, but no supported network has more than {MAX_TENSORS:,}. "
            "Choose another file."
        )
    for key, shape in shapes.items():
        if len(key) > MAX_NAME_LENGTH or not key.isprintable():  # messages contain the names
            raise CheckpointError(
                f"{file_name} holds a tensor called {key[:30]!r}, which is not a valid name. Choose another file."
            )
        if 0 in shape:
            raise CheckpointError(
                f"{key} in {file_name} has the shape {tuple(shape)} and so no values. Choose another file."
            )


def check_plain(file_name: str, tensors: Mapping[str, Tensor], file_bytes: int) -> None:
    """Raise CheckpointError unless all ``tensors`` are plain and together have at most ``file_bytes``, the size of their file.

    Plain tensors are dense, real and not quantized, and satisfy ``check_shapes``. The size is limited because a view can repeat a
    stored value any number of times, and would fill the memory in a computation.
    """
    check_shapes(file_name, {key: tensor.shape for key, tensor in tensors.items() if not tensor.is_nested})
    for key, tensor in tensors.items():
        _check_kind(file_name, key, tensor)
    needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if needed > file_bytes:
        raise CheckpointError(
            f"The tensors of {file_name} have {needed:,} bytes, but the file has only {file_bytes:,}: some repeat the "
            "same values. Choose a file with the state dict of the network as it was trained."
        )


def _check_kind(file_name: str, key: str, tensor: Tensor) -> None:
    kinds = {
        "meta (without values)": tensor.is_meta,
        "quantized": tensor.is_quantized,
        "complex": tensor.is_complex(),
        "sparse": tensor.layout is not torch.strided,
        "nested": tensor.is_nested,
    }
    for kind, is_of_kind in kinds.items():
        if is_of_kind:
            raise CheckpointError(
                f"{key} in {file_name} is a {kind} tensor, but plain floating point weights are needed. "
                "Choose a file with the state dict of the network as it was trained."
            )
