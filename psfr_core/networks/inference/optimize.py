"""Optimize networks for inference. Only rounding changes their outputs."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ...checks import COMPUTE_DTYPES, check_type
from ...errors import OptionError
from ..face_restorer import FaceRestorer, OtherRestorer
from ..parse_net import COARSEST_SIZE, ParseNet, ReflectConv, ResidualBlock
from ..psfr_generator import BASE_SIZE, PsfrGenerator
from ..sized_restorer import SizedRestorer
from ..spade import SpadeResBlock
from .convolution import PackedConv2d, PackedLayer, UpsampleConv2d, can_pack
from .fast_parse_net import FastDownBlock, FastReflectConv, FastResidualBlock, FastUpBlock
from .fast_spade import FastSpadeResBlock

N = TypeVar("N", bound=nn.Module)


def optimize_for_inference(network: N, device: torch.device | str, dtype: torch.dtype) -> N:
    """Optimize ``network`` for inference in ``dtype`` on ``device``. Call ``to(device)`` on the result.

    The argument is modified and must not be used afterwards. The result has the same interface, and its outputs differ only by
    rounding. Batch norm is folded into the convolutions, and weights are stored in channels_last where this is faster. On a CPU,
    generators and parsing networks are rebuilt from CPU-specific layers, so their device and dtype can no longer be changed.
    Raises OptionError for a dtype that the network or this function does not support, and for a network that is already rebuilt.
    """
    check_type(network, nn.Module, "network")
    if dtype not in COMPUTE_DTYPES:
        known = ", ".join(map(str, COMPUTE_DTYPES))
        raise OptionError(f"dtype must be one of {known}, got {dtype!r}.")
    if isinstance(network, FaceRestorer) and dtype not in network.dtypes:
        known = " or ".join(map(str, network.dtypes))
        raise OptionError(f"This restorer computes in {known} only, got {dtype}. Choose another precision.")
    if any(isinstance(module, PackedLayer) for module in network.modules()):
        raise OptionError("This network is already optimized for a CPU. Load it again, and optimize it once.")
    network = fold_batch_norm(network.eval().requires_grad_(False)).to(dtype)
    return _arrange(network, torch.device(device)).eval()  # new layers are in training mode


def _arrange(network: N, device: torch.device) -> N:
    """Return ``network`` with the layers and the memory layout that are fastest on ``device``."""
    if device.type == "cpu" and isinstance(network, PsfrGenerator):
        return cast(N, _fast_generator(network))
    if device.type == "cpu" and isinstance(network, ParseNet):
        return cast(N, _fast_parse_net(network))
    if isinstance(network, SizedRestorer):
        network.small, network.large = _arrange(network.small, device), _arrange(network.large, device)
        return network
    if isinstance(network, OtherRestorer):
        return network  # channels_last does not support GFPGAN's weights, which have five axes
    return network.to(memory_format=torch.channels_last) if device.type in ("cpu", "cuda") else network


def optimized_on(network: N, device: torch.device | str, dtype: torch.dtype) -> N:
    """Optimize ``network`` with ``optimize_for_inference`` and move it to ``device``."""
    return optimize_for_inference(network, device, dtype).to(device)


def fastest_dtype(device: torch.device | str, network: nn.Module | None = None) -> torch.dtype:
    """Return the fastest dtype without visible quality loss: bfloat16 on CPUs that support it, else float32.

    For an ``OtherRestorer``, whose quality in other dtypes has not been measured, float32 is returned.
    """
    if isinstance(network, OtherRestorer):
        return torch.float32
    return torch.bfloat16 if torch.device(device).type == "cpu" and cpu_has_fast_bfloat16() else torch.float32


def cpu_has_fast_bfloat16() -> bool:
    """Return whether this CPU has bfloat16 instructions. Without them, bfloat16 is emulated and slower than float32."""
    # if PyTorch lacks these tests, the instructions are assumed to be missing
    tests = (getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
    return can_pack(torch.bfloat16) and any(test is not None and test() for test in tests)


def fold_batch_norm(network: N) -> N:
    """Fold each batch norm after a convolution into the convolution in place, and return ``network``."""
    for module in network.modules():
        children = list(module.named_children())
        for (name, conv), (norm_name, norm) in pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(conv, norm))
                setattr(module, norm_name, nn.Identity())
        if isinstance(module, ReflectConv) and not isinstance(module.norm, nn.Identity):
            module.conv2d = fuse_conv_bn_eval(module.conv2d, module.norm.norm)
            module.norm = nn.Identity()
    return network


@torch.no_grad()
def _fast_generator(generator: PsfrGenerator) -> PsfrGenerator:
    first_conv, first_block = generator.head.children()
    generator.const_input = _frozen(first_conv(generator.const_input))  # this result is the same for every face
    generator.head = nn.Sequential(_Copy(), FastSpadeResBlock(cast(SpadeResBlock, first_block), BASE_SIZE))
    side = BASE_SIZE
    for index, stage in enumerate(generator.body):
        _, conv, block = stage.children()
        upsample = UpsampleConv2d(cast(nn.Conv2d, conv), (side, side))
        side *= 2
        generator.body[index] = nn.Sequential(upsample, FastSpadeResBlock(cast(SpadeResBlock, block), side))
    generator.img_out = PackedConv2d(cast(nn.Conv2d, generator.img_out), (side, side), padding=(1, 1))
    return generator


def _fast_parse_net(parse_net: ParseNet) -> ParseNet:
    side = parse_net.config.size
    first, *down = parse_net.encoder.children()
    encoder: list[nn.Module] = [FastReflectConv(cast(ReflectConv, first), side)]
    for block in down:
        encoder.append(FastDownBlock(cast(ResidualBlock, block), side))
        side //= 2
    decoder: list[nn.Module] = []
    for block in parse_net.decoder.children():
        decoder.append(FastUpBlock(cast(ResidualBlock, block), side))
        side *= 2
    parse_net.encoder, parse_net.decoder = nn.Sequential(*encoder), nn.Sequential(*decoder)
    body = [FastResidualBlock(cast(ResidualBlock, block), COARSEST_SIZE) for block in parse_net.body.children()]
    parse_net.body = nn.Sequential(*body)
    parse_net.out_mask_conv = FastReflectConv(cast(ReflectConv, parse_net.out_mask_conv), side)
    parse_net.out_img_conv = FastReflectConv(cast(ReflectConv, parse_net.out_img_conv), side)
    return parse_net


class _Copy(nn.Module):
    """A layer that copies the constant input, because the first block overwrites its input."""

    def forward(self, features: Tensor) -> Tensor:
        return features.clone(memory_format=torch.channels_last)


def _frozen(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor.contiguous(memory_format=torch.channels_last), requires_grad=False)
