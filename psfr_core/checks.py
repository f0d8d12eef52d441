"""Checks of tensors and networks, with messages in words."""

from types import UnionType
from typing import get_args

import torch
from torch import Tensor, nn

from .errors import InputError, OptionError, PsfrError

COMPUTE_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)  # PyTorch only stores smaller ones


def check_type(value: object, kind: type | UnionType, name: str) -> None:
    """Raise InputError unless ``value`` is a ``kind``, or one of a union."""
    if not isinstance(value, kind):
        needed = " or ".join(one.__name__ for one in (get_args(kind) if isinstance(kind, UnionType) else (kind,)))
        raise InputError(f"{name} must be of the type {needed}, got {_article(type(value).__name__)}.")


def check_tensor(value: object, name: str) -> None:
    """Raise InputError unless ``value`` is a dense tensor."""
    if not isinstance(value, Tensor):
        found = _article(type(value).__name__)
        raise InputError(f"{name} must be a torch.Tensor, got {found}. Convert it: torch.from_numpy for NumPy arrays.")
    if value.layout is not torch.strided or value.is_quantized:
        raise InputError(f"{name} must be a dense tensor, got a sparse or quantized one. Convert it to a dense one.")


def check_shape(tensor: Tensor, pattern: str, name: str) -> None:
    """Raise InputError unless ``tensor`` has the shape ``pattern`` describes.

    ``pattern`` names one axis a word: a number must match, a letter stands for any size of at least 1, and the same letter for
    the same size: ``check_shape(crops, "B 3 S S", "crops")``.
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
    """Raise InputError unless ``tensor`` holds floating point numbers of 16 bits or more."""
    check_tensor(tensor, name)
    if tensor.dtype not in COMPUTE_DTYPES:
        raise InputError(
            f"{name} must hold floating point numbers in [0, 1] of at least 16 bits, got {tensor.dtype}. "
            "Convert them with float(). Divide 8-bit values by 255."
        )


def check_real(tensor: Tensor, name: str) -> None:
    """Raise InputError unless ``tensor`` holds bools, integers or floating point numbers that PyTorch computes with."""
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
        raise InputError(f"{name} must hold bools, whole or floating point numbers, got {tensor.dtype}. Convert it.")


def check_pair(images: Tensor, references: Tensor) -> None:
    """Raise InputError unless both are float batches (B, 3, H, W) of one shape."""
    for tensor, name in ((images, "images"), (references, "references")):
        check_shape(tensor, "B 3 H W", name)
        check_float(tensor, name)
    if images.shape != references.shape:
        raise InputError(
            f"images and references must have the same shape, got {tuple(images.shape)} and {tuple(references.shape)}."
        )


def check_finite(tensor: Tensor, name: str) -> None:
    """Raise InputError where ``tensor`` has a number that is NaN or infinite; waits for the device that it is on."""
    if not is_finite(tensor):
        raise InputError(f"{name} must be finite numbers, got NaN or infinity. The step before this one has failed.")


def is_finite(tensor: Tensor) -> bool:
    """Whether no number is NaN or infinite; no copy is made to find out."""
    return tensor.numel() == 0 or bool(torch.stack(tensor.aminmax()).isfinite().all())  # NaN is least and greatest


def check_output(output: Tensor, network: str, dtype: torch.dtype) -> None:
    """Raise PsfrError where the ``output`` of a ``network`` computing in ``dtype`` is not finite; waits for its device."""
    if is_finite(output):
        return
    exact = dtype in (torch.float32, torch.bfloat16)  # whose range no weights that make sense leave
    advice = "Its weights are damaged: load other ones" if exact else "Load it in float32 or bfloat16"
    raise PsfrError(f"The {network} gave NaN or infinite values in {dtype}. {advice}.")


def check_evaluating(network: nn.Module, name: str) -> None:
    """Raise InputError unless all of ``network`` is in evaluation mode.

    Inference does not switch the mode itself: another thread may be using the network.
    """
    if any(module.training for module in network.modules()):
        raise InputError(f"The {name} is in training mode. Call its eval() first.")


def check_network_input(inputs: Tensor, network: nn.Module, name: str) -> None:
    """Raise InputError unless ``inputs`` are of the type and on the device of the network's weights.

    Within autocast any type fits, because PyTorch converts it.
    """
    weight = next(network.parameters())
    if inputs.device != weight.device or (inputs.dtype != weight.dtype and not _is_autocast_on(inputs.device.type)):
        raise InputError(
            f"{name} must be {weight.dtype} on {weight.device} as the weights of the network are, "
            f"got {inputs.dtype} on {inputs.device}. Move it with to()."
        )


def _is_autocast_on(device: str) -> bool:
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def check_seed(seed: int, name: str = "seed") -> None:
    """Raise OptionError unless ``seed`` is one that PyTorch takes, of 64 bits."""
    if not -(2**63) <= seed < 2**64:
        raise OptionError(f"{name} must be from -2^63 to 2^64 - 1, got a number of {seed.bit_length()} bits.")


def seeded_generator(seed: int) -> torch.Generator:
    """Return a generator of random numbers on the CPU; seeds beyond 64 bits, such as sums of two, begin anew at 0."""
    return torch.Generator().manual_seed(seed % 2**64)


def _article(name: str) -> str:
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
