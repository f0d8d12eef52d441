"""Convolutions with their weights laid out once for the processor at hand, and their activation computed on the way out.

The operators are those that PyTorch's compiler puts in place of its own on CPUs (oneDNN). Where PyTorch was built without them, or
they do not know the number type, its usual ones give the same.
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


class _PackedLayer(nn.Module):
    """Weights that are laid out once and stay as they are."""

    weight: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, *, is_packed: bool, leaky: bool) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.is_packed, self.leaky = is_packed, leaky

    def in_own_type(self, features: Tensor) -> Tensor:
        """Return ``features`` in the type of the weights, which the padding before does not keep under autocast."""
        return features.to(self.bias.dtype)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> _PackedLayer:
        """Raise OptionError if ``fn``, which .to() and the like apply to all weights, would do anything."""
        moved = fn(self.bias)
        if moved.device != self.bias.device or moved.dtype != self.bias.dtype:
            raise OptionError(
                f"This network is laid out for {self.bias.dtype} on the CPU, and cannot be moved to {moved.dtype} on "
                f"{moved.device}. Load it again, and optimize it for that device and type."
            )
        return self


class PackedConv2d(_PackedLayer):
    """A convolution, and LeakyReLU if wanted, of maps in channels_last.

    ``input_size`` (height, width) is what the weights are laid out for; other sizes are computed as well.
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
        """Return the convolved ``features`` (B, C, H, W)."""
        features = self.in_own_type(features)
        if self.is_packed:
            return torch.ops.mkldnn._convolution_pointwise(
                features, self.weight, self.bias, self.padding, self.stride, _NO_DILATION, 1, *_activation(self.leaky)
            )
        convolved = F.conv2d(features, self.weight, self.bias, self.stride, self.padding)
        return F.leaky_relu_(convolved, LEAKY_SLOPE) if self.leaky else convolved

    def add_to(self, total: Tensor, features: Tensor) -> None:
        """Adds the convolved ``features`` to ``total``, which is dense in channels_last. There is no activation on this way."""
        features = self.in_own_type(features)
        if self.is_packed:
            torch.ops.mkldnn._convolution_pointwise_(
                total, features, self.weight, self.bias, self.padding, self.stride, _NO_DILATION, 1, "add", 1.0, None, [], None
            )  # fmt: skip
        else:
            total.add_(F.conv2d(features, self.weight, self.bias, self.stride, self.padding))


class UpsampleConv2d(_PackedLayer):
    """Doubling by nearest neighbor and a 3x3 convolution in one: a transposed convolution with 2.25 times fewer multiplications.

    Each of four neighboring results sees only 2x2 different pixels, whose weights are the sums of those that meet there.
    The features come with a border of one pixel, or are continued with zeros when there is none.
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
        """Return (B, C', 2H, 2W) from ``features`` (B, C, H, W), or from (B, C, H + 2, W + 2) where they have a border."""
        features = self.in_own_type(features)
        if self.is_packed:
            return torch.ops.mkldnn._convolution_transpose_pointwise(
                features, self.weight, self.bias, self.padding, [0, 0], [2, 2], _NO_DILATION, 1, *_activation(self.leaky)
            )  # fmt: skip
        convolved = F.conv_transpose2d(features, self.weight, self.bias, stride=2, padding=self.padding)
        return F.leaky_relu_(convolved, LEAKY_SLOPE) if self.leaky else convolved


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this PyTorch can lay out weights of this type on this CPU."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_convolution_transpose_pointwise"):
        return False
    if dtype == torch.bfloat16:
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return dtype == torch.float32


def bias_of(conv: nn.Conv2d) -> Tensor:
    """The bias of ``conv``, zeros if it has none."""
    return conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()


def _activation(leaky: bool) -> tuple[str, list[Any], str]:
    return ("leaky_relu", [LEAKY_SLOPE], "") if leaky else ("none", [], "")


def _subpixel_weights(weight: Tensor) -> Tensor:
    """Weights (in, out, 4, 4) of the transposed convolution with stride 2, from (out, in, 3, 3)."""
    meeting = torch.tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=torch.float64)
    summed = torch.einsum("ya,xb,oiab->ioyx", meeting, meeting, weight.double())
    return summed.to(weight.dtype).contiguous()
