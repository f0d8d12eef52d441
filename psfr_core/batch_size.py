"""Choose batch sizes for inference, and compute results in batches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .errors import is_out_of_memory
from .options import check_value

MAX_BATCH_SIZE = 4096

_MAX_DEFAULT = 8  # larger batches are not faster
_DEFAULT_FOR_UNKNOWN_MEMORY = 4
_BYTES_PER_FACE = 2**30  # upper bound of the memory for one face of 512 px in float32


def default_batch_size(device: torch.device) -> int:
    """Return the default batch size: 1 on a CPU, up to 8 on a CUDA GPU depending on free memory, and 4 on other devices."""
    if device.type == "cpu":
        return 1  # larger batches are not faster
    if device.type != "cuda":
        return _DEFAULT_FOR_UNKNOWN_MEMORY
    free, _ = torch.cuda.mem_get_info(device)
    # Cached memory that PyTorch has reserved but not allocated is available as well.
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min(max(free // _BYTES_PER_FACE, 1), _MAX_DEFAULT)


def check_batch_size(batch_size: int | None) -> None:
    """Raise OptionError unless ``batch_size`` is from 1 to ``MAX_BATCH_SIZE``, or None, which selects the default."""
    check_value("batch_size", batch_size, int | None, low=1, high=MAX_BATCH_SIZE)


def in_small_batches(work: Callable[[slice], Tensor], count: int) -> Tensor:
    """Call ``in_batches`` for work without a network, so that its memory does not grow with the number of faces."""
    return in_batches(work, count, _MAX_DEFAULT, halve=True)


def in_batches(
    work: Callable[[slice], Tensor],
    count: int,
    batch_size: int,
    *,
    halve: bool,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Call ``work`` with consecutive slices that divide ``count`` >= 1 items into batches, and return the concatenated results.

    A batch has at most ``batch_size`` items. With ``halve``, a batch that does not fit into memory is repeated with half its size,
    which also limits later batches. Without ``halve``, and for a batch of one item, the out-of-memory error is raised.
    ``progress`` is called after each batch with the number of finished items and ``count``.
    """
    parts: list[Tensor] = []
    start = 0
    while start < count:
        stop = min(start + batch_size, count)
        try:
            parts.append(work(slice(start, stop)))
        except Exception as error:
            if not halve or stop - start == 1 or not is_out_of_memory(error):
                raise
            batch_size = (stop - start) // 2
            continue
        start = stop
        if progress is not None:
            progress(stop, count)
    return torch.cat(parts)
