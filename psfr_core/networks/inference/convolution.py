"""Define convolution layers whose weights are packed once for the CPU and whose activation is fused.

The layers call the oneDNN operators that PyTorch's compiler uses on CPUs. If these operators are missing or do not support a dtype,
the standard operators compute the same result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import OptionError
from ..spade import LEAKY_SLOPE

_NO_DILATION = [1, 1]


class PackedLayer(nn.Module):
    """A layer whose weights are packed once and cannot be moved or converted afterwards."""

    weight: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, *, is_packed: bool, leaky: bool) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.is_packed, self.leaky = is_packed, leaky

    def to_own_dtype(self, features: Tensor) -> Tensor:
        """Convert ``features`` to the dtype of the weights. Under autocast, padding may have changed their dtype."""
        return features.to(self.bias.dtype)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> PackedLayer:
        """Raise OptionError if ``fn``, which methods like ``to()`` apply to all weights, changes device or dtype."""
        moved = fn(self.bias)
        if moved.device != self.bias.device or moved.dtype != self.bias.dtype:
            raise OptionError(
                f"This network is optimized for {self.bias.dtype} on the CPU and cannot be converted to {moved.dtype} on "
                f"{moved.device}. Load it again, and optimize it for that device and dtype."
            )
        return self


class PackedConv2d(PackedLayer):
    """A convolution of channels_last features, with a LeakyReLU if ``leaky``.

    The weights are packed for inputs of ``input_size`` (height, width), but other sizes are supported as well.
    """

    def __init__(
        self, conv: nn.Conv2d, input_size: tuple[int, int], *, padding: tuple[int, int] = (0, 0), leaky: bool = False
    ) -> None:
        stride, weight = list(conv.stride), conv.weight.detach()
        is_packed = can_pack(weight.dtype)
        if is_packed:
            shape = [1, conv.in_channels, *input_size]
            weight = torch.ops.mkldnn._reorder_convolution_weight(
                weight.contiguous(), list(padding), stride, _NO_DILATION, 1, shape
            )
        super().__init__(weight, bias_of(conv), is_packed=is_packed, leaky=leaky)
        self.stride, self.padding = stride, list(padding)

    def forward(self, features: Tensor) -> Tensor:
        """Convolve ``features`` (B, C, H, W)."""
        features = self.to_own_dtype(features)
        if self.is_packed:
            return torch.ops.mkldnn._convolution_pointwise(
                features, self.weight, self.bias, self.padding, self.stride, _NO_DILATION, 1, *_activation(self.leaky)
            )
        convolved = F.conv2d(features, self.weight, self.bias, self.stride, self.padding)
        return F.leaky_relu_(convolved, LEAKY_SLOPE) if self.leaky else convolved

    def add_to(self, total: Tensor, features: Tensor) -> None:
        """Add the convolved ``features``, without activation, to ``total``, which must be dense in channels_last."""
        features = self.to_own_dtype(features)
        if self.is_packed:
            torch.ops.mkldnn._convolution_pointwise_(
                total, features, self.weight, self.bias, self.padding, self.stride, _NO_DILATION, 1, "add", 1.0, None, [], None
            )  # fmt: skip
        else:
            total.add_(F.conv2d(features, self.weight, self.bias, self.stride, self.padding))


class UpsampleConv2d(PackedLayer):
    """Nearest-neighbor upsampling by 2 and a 3x3 convolution, fused into a transposed convolution.

    Each output pixel depends on only 2x2 input pixels. The weights that apply to the same input pixel are added in advance, which
    reduces the multiplications by a factor of 2.25. The input is padded with zeros unless it already has a border of one pixel
    (``has_border``).
    """

    def __init__(
        self, conv: nn.Conv2d, input_size: tuple[int, int], *, has_border: bool = False, leaky: bool = False
    ) -> None:
        padding, weight = [3, 3] if has_border else [1, 1], _subpixel_weights(conv.weight.detach())
        is_packed = can_pack(weight.dtype)
        if is_packed:
            shape = [1, conv.in_channels, *input_size]
            weight = torch.ops.mkldnn._reorder_convolution_transpose_weight(
                weight, padding, [0, 0], [2, 2], _NO_DILATION, 1, shape
            )
        super().__init__(weight, bias_of(conv), is_packed=is_packed, leaky=leaky)
        self.padding = padding

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, C', 2H, 2W) for ``features`` (B, C, H, W), or (B, C, H + 2, W + 2) with a border."""
        features = self.to_own_dtype(features)
        if self.is_packed:
            return torch.ops.mkldnn._convolution_transpose_pointwise(
                features, self.weight, self.bias, self.padding, [0, 0], [2, 2], _NO_DILATION, 1, *_activation(self.leaky)
            )  # fmt: skip
        convolved = F.conv_transpose2d(features, self.weight, self.bias, stride=2, padding=self.padding)
        return F.leaky_relu_(convolved, LEAKY_SLOPE) if self.leaky else convolved


def can_pack(dtype: torch.dtype) -> bool:
    """Return whether this PyTorch can pack weights of ``dtype`` on this CPU."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_convolution_transpose_pointwise"):
        return False
    if dtype == torch.bfloat16:
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return dtype == torch.float32


def bias_of(conv: nn.Conv2d) -> Tensor:
    """Return the bias of ``conv``, or zeros if it has none."""
    return conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()


def _activation(leaky: bool) -> tuple[str, list[Any], str]:
    return ("leaky_relu", [LEAKY_SLOPE], "") if leaky else ("none", [], "")


def _subpixel_weights(weight: Tensor) -> Tensor:
    """Convert weights (out, in, 3, 3) to (in, out, 4, 4) for the transposed convolution with stride 2."""
    overlap = torch.tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=torch.float64)
    summed = torch.einsum("ya,xb,oiab->ioyx", overlap, overlap, weight.double())
    return summed.to(weight.dtype).contiguous()
