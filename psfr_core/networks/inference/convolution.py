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


class PackedConv2d(nn.Module):
    """A convolution, and LeakyReLU if wanted, of maps in channels_last.

    ``input_size`` (height, width) is what the weights are laid out for; other sizes are computed as well.
    """

    weight: Tensor

    def __init__(
        self, conv: nn.Conv2d, input_size: tuple[int, int], *, padding: tuple[int, int] = (0, 0), leaky: bool = False
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.leaky = list(conv.stride), list(padding), leaky
        weight = conv.weight.detach()
        self.is_packed = can_pack(weight.dtype)
        if self.is_packed:
            shape = [1, conv.in_channels, *input_size]
            weight = torch.ops.mkldnn._reorder_convolution_weight(
                weight.contiguous(), self.padding, self.stride, _NO_DILATION, 1, shape
            )
        self.register_buffer("weight", weight)
        self.bias = _bias_of(conv)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> PackedConv2d:
        _check_stays(self.bias, fn)
        return self

    def forward(self, features: Tensor) -> Tensor:
        """The convolved ``features`` (B, C, H, W)."""
        if self.is_packed:
            return torch.ops.mkldnn._convolution_pointwise(
                features, self.weight, self.bias, self.padding, self.stride, _NO_DILATION, 1, *_activation(self.leaky)
            )
        convolved = F.conv2d(features, self.weight, self.bias, self.stride, self.padding)
        return F.leaky_relu_(convolved, LEAKY_SLOPE) if self.leaky else convolved

    def add_to(self, total: Tensor, features: Tensor) -> None:
        """Adds the convolved ``features`` to ``total``, which is dense in channels_last. There is no activation on this way."""
        if self.is_packed:
            torch.ops.mkldnn._convolution_pointwise_(
                total, features, self.weight, self.bias, self.padding, self.stride, _NO_DILATION, 1, "add", 1.0, None, [], None
            )  # fmt: skip
        else:
            total.add_(F.conv2d(features, self.weight, self.bias, self.stride, self.padding))


class UpsampleConv2d(nn.Module):
    """Doubling by nearest neighbour and a 3x3 convolution in one: a transposed convolution with 2.25 times fewer multiplications.

    Each of four neighbouring results sees only 2x2 different pixels, whose weights are the sums of those that meet there.
    The features come with a border of one pixel, or are continued with zeros when there is none.
    """

    weight: Tensor

    def __init__(
        self, conv: nn.Conv2d, input_size: tuple[int, int], *, has_border: bool = False, leaky: bool = False
    ) -> None:
        super().__init__()
        self.padding, self.leaky = [3, 3] if has_border else [1, 1], leaky
        weight = _subpixel_weights(conv.weight.detach())
        self.is_packed = can_pack(weight.dtype)
        if self.is_packed:
            shape = [1, conv.in_channels, *input_size]
            weight = torch.ops.mkldnn._reorder_convolution_transpose_weight(
                weight, self.padding, [0, 0], [2, 2], _NO_DILATION, 1, shape
            )
        self.register_buffer("weight", weight)
        self.bias = _bias_of(conv)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> UpsampleConv2d:
        _check_stays(self.bias, fn)
        return self

    def forward(self, features: Tensor) -> Tensor:
        """(B, C', 2H, 2W) from ``features`` (B, C, H, W), or from (B, C, H + 2, W + 2) where they have a border."""
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


def _bias_of(conv: nn.Conv2d) -> nn.Parameter:
    bias = conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()
    return nn.Parameter(bias, requires_grad=False)


def _check_stays(bias: Tensor, move: Callable[[Tensor], Tensor]) -> None:
    """Raise OptionError if ``move``, which .to() and the like apply to all weights, would do anything."""
    moved = move(bias)
    if moved.device != bias.device or moved.dtype != bias.dtype:
        raise OptionError(
            f"This network is laid out for {bias.dtype} on the CPU, and cannot be moved to {moved.dtype} on {moved.device}. "
            "Load it again, and optimise it for that device and type."
        )


def _activation(leaky: bool) -> tuple[str, list[Any], str]:
    return ("leaky_relu", [LEAKY_SLOPE], "") if leaky else ("none", [], "")


def _subpixel_weights(weight: Tensor) -> Tensor:
    """Weights (in, out, 4, 4) of the transposed convolution with stride 2, from (out, in, 3, 3)."""
    meeting = torch.tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=torch.float64)
    summed = torch.einsum("ya,xb,oiab->ioyx", meeting, meeting, weight.double())
    return summed.to(weight.dtype).contiguous()
