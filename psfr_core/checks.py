"""Check the arguments of functions and the outputs of networks."""

from types import UnionType
from typing import get_args

import torch
from torch import Tensor, nn

from .errors import InputError, OptionError, PsfrError

# PyTorch can store smaller floating point types, but it cannot compute with them.
COMPUTE_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_type(value: object, kind: type | UnionType, name: str) -> None:
    """Raise InputError unless ``value`` is an instance of ``kind``."""
    if not isinstance(value, kind):
        needed = " or ".join(member.__name__ for member in (get_args(kind) if isinstance(kind, UnionType) else (kind,)))
        raise InputError(f"{name} must be of type {needed}, got {_with_article(type(value).__name__)}.")


def check_tensor(value: object, name: str) -> None:
    """Raise InputError unless ``value`` is a dense tensor without quantization."""
    if not isinstance(value, Tensor):
        found = _with_article(type(value).__name__)
        raise InputError(f"{name} must be a torch.Tensor, got {found}. Convert NumPy arrays with torch.from_numpy.")
    if value.layout is not torch.strided or value.is_quantized:
        raise InputError(f"{name} must be a dense tensor, got a sparse or quantized one. Convert it to a dense one.")


def check_shape(tensor: Tensor, pattern: str, name: str) -> None:
    """Raise InputError unless the shape of ``tensor`` matches ``pattern``, such as ``"B 3 S S"``.

    Each word describes an axis: a number must match exactly, and a letter stands for any size of at least 1. Axes with the same
    letter must have the same size.
    """
    check_tensor(tensor, name)
    axes = pattern.split()
    shape = tuple(tensor.shape)
    sizes = {axis: int(axis) if axis.isdigit() else size for axis, size in zip(axes, shape, strict=False)}
    fits = len(shape) == len(axes) and all(
        size == sizes[axis] and size >= 1 for axis, size in zip(axes, shape, strict=True)
    )
    if not fits:
        raise InputError(f"{name} must have the shape ({', '.join(axes)}), got {shape}.")


def check_float(tensor: Tensor, name: str) -> None:
    """Raise InputError unless the dtype of ``tensor`` is a floating point type of at least 16 bits."""
    check_tensor(tensor, name)
    if tensor.dtype not in COMPUTE_DTYPES:
        raise InputError(
            f"{name} must have a floating point dtype of at least 16 bits and values in [0, 1], got {tensor.dtype}. "
            "Convert it with float(). Divide 8-bit values by 255."
        )


def check_real(tensor: Tensor, name: str) -> None:
    """Raise InputError unless the dtype of ``tensor`` is real, and PyTorch can compute with it.

    The accepted dtypes are bool, uint8, signed integers, and floating point types of at least 16 bits.
    """
    check_tensor(tensor, name)
    if tensor.dtype not in (
        *COMPUTE_DTYPES,
        torch.bool,
        torch.uint8,
        torch.int8,
        torch.int16,
        torch.int32,
        torch.int64,
    ):
        raise InputError(f"{name} must have a bool, integer or floating point dtype, got {tensor.dtype}. Convert it.")


def check_pair(images: Tensor, references: Tensor) -> None:
    """Raise InputError unless ``images`` and ``references`` are float batches (B, 3, H, W) of the same shape."""
    for tensor, name in ((images, "images"), (references, "references")):
        check_shape(tensor, "B 3 H W", name)
        check_float(tensor, name)
    if images.shape != references.shape:
        raise InputError(
            f"images and references must have the same shape, got {tuple(images.shape)} and {tuple(references.shape)}."
        )


def check_finite(tensor: Tensor, name: str) -> None:
    """Raise InputError if ``tensor`` contains NaN or infinity. The check waits for the tensor's device."""
    if not is_finite(tensor):
        raise InputError(f"{name} must be finite, got NaN or infinity. The previous step failed.")


def is_finite(tensor: Tensor) -> bool:
    """Return whether ``tensor`` contains neither NaN nor infinity. The tensor is not copied."""
    return tensor.numel() == 0 or bool(torch.stack(tensor.aminmax()).isfinite().all())  # aminmax propagates NaN


def check_output(output: Tensor, network: str, dtype: torch.dtype) -> None:
    """Raise PsfrError if ``output``, which a network computed in ``dtype``, contains NaN or infinity.

    ``network`` names the network in the message. The check waits for the tensor's device.
    """
    if is_finite(output):
        return
    has_wide_range = dtype in (torch.float32, torch.bfloat16)  # intact weights do not overflow these types
    advice = "Its weights are damaged. Load another file" if has_wide_range else "Load it in float32 or bfloat16"
    raise PsfrError(f"The {network} returned NaN or infinity in {dtype}. {advice}.")


def check_evaluating(network: nn.Module, name: str) -> None:
    """Raise InputError unless all modules of ``network`` are in evaluation mode.

    Inference does not switch the mode, because another thread may be using the network.
    """
    if any(module.training for module in network.modules()):
        raise InputError(f"The {name} is in training mode. Call eval() first.")


def check_network_input(inputs: Tensor, network: nn.Module, name: str) -> None:
    """Raise InputError unless ``inputs`` have the dtype and the device of the weights in ``network``.

    Under autocast, any dtype is accepted, because PyTorch converts it.
    """
    weight = next(network.parameters())
    if inputs.device != weight.device or (inputs.dtype != weight.dtype and not _is_autocast_on(inputs.device.type)):
        raise InputError(
            f"{name} must be {weight.dtype} on {weight.device} like the weights of the network, "
            f"got {inputs.dtype} on {inputs.device}. Convert it with to()."
        )


def _is_autocast_on(device: str) -> bool:
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def check_seed(seed: int, name: str = "seed") -> None:
    """Raise OptionError unless ``seed`` is from -2^63 to 2^64 - 1, the range of PyTorch."""
    if not -(2**63) <= seed < 2**64:
        raise OptionError(f"{name} must be from -2^63 to 2^64 - 1, got a number of {seed.bit_length()} bits.")


def seeded_generator(seed: int) -> torch.Generator:
    """Return a CPU random number generator with ``seed`` modulo 2^64."""
    return torch.Generator().manual_seed(seed % 2**64)


def _with_article(name: str) -> str:
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
