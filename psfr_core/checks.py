"""Checks of tensors, with messages in words."""

import torch
from torch import Tensor

from .errors import InputError, PsfrError


def check_shape(tensor: Tensor, pattern: str, name: str) -> None:
    """Raise InputError unless ``tensor`` has the shape ``pattern`` describes.

    ``pattern`` names one axis a word: a number must match, a letter stands for any size of at least 1, and the same letter for
    the same size: ``check_shape(crops, "B 3 S S", "crops")``.
    """
    axes = pattern.split()
    shape = tuple(tensor.shape)
    sizes = {axis: int(axis) if axis.isdigit() else size for axis, size in zip(axes, shape, strict=False)}
    fits = len(shape) == len(axes) and all(
        size == sizes[axis] and size >= 1 for axis, size in zip(axes, shape, strict=True)
    )
    if not fits:
        raise InputError(f"{name} must have the shape ({', '.join(axes)}), got {shape}.")


def check_float(tensor: Tensor, name: str) -> None:
    """Raise InputError unless ``tensor`` holds floating point numbers."""
    if not tensor.is_floating_point():
        raise InputError(
            f"{name} must hold floating point numbers in [0, 1], got {tensor.dtype}. Divide 8-bit values by 255 first."
        )


def check_pair(images: Tensor, references: Tensor) -> None:
    """Raise InputError unless both are float batches (B, 3, H, W) of one shape."""
    check_shape(images, "B 3 H W", "images")
    check_float(images, "images")
    check_float(references, "references")
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
