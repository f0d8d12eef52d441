"""Interpolate the weights of two networks."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from torch import nn

from ..errors import OptionError
from ..files import expand_user, sha256_of
from .architectures import PARSE_NET, PSFR_GENERATOR, Architecture
from .convert import check_target, read_with_metadata, to_half
from .growth import grow_generator, grow_parse_net
from .metadata import WeightMetadata, write_weights
from .state_dict import StateDict

N = TypeVar("N", bound=nn.Module)


def blend_weights(
    one: str | Path,
    other: str | Path,
    target: str | Path,
    *,
    amount: float = 0.5,
    half: bool = False,
    overwrite: bool = False,
) -> str:
    """Interpolate the weights of ``one`` and ``other`` (names or paths), write them to ``target``, and return its SHA-256.

    ``amount`` is the weight of ``other``, 0 to 1. One of the networks should have been trained from the other. To balance
    accuracy and detail, interpolate a generator with small errors and a generator with much detail. If ``one`` is a smaller
    generator or parsing network than ``other``, it first grows to the size of ``other``. ``half`` stores float16. An existing
    target is replaced only with ``overwrite``.
    Raises OptionError for networks of different architectures, a larger ``one``, an amount out of range, weights too large for
    float16, and a target that exists or does not end in .safetensors. Also raises the errors of ``read_with_metadata``. In these
    cases, nothing is written.
    Source: Wang et al., ESRGAN (2018), section 3.4, network interpolation.
    """
    if not 0 <= amount <= 1:
        raise OptionError(f"The amount of the second network must be 0 to 1, got {amount}.")
    target = expand_user(target)
    check_target(target, overwrite=overwrite)
    (weights, first), (other_weights, second) = (read_with_metadata(source) for source in (one, other))
    if first.architecture != second.architecture:
        raise OptionError(
            f"Only networks of the same architecture can be blended, but {one} is {first.architecture} with {first.config}, "
            f"and {other} is {second.architecture} with {second.config}."
        )
    if first.config != second.config:
        weights = _grown(weights, other_weights)
    blended = _interpolated(weights, other_weights, amount)
    source = f"{1 - amount:g} of {first.source} and {amount:g} of {second.source}"
    licence = first.licence if first.licence == second.licence else f"{first.licence} and {second.licence}"
    metadata = WeightMetadata(second.architecture, second.config, licence, source)
    write_weights(target, to_half(blended) if half else blended, metadata)
    return sha256_of(target)


def _grown(smaller: StateDict, larger: StateDict) -> StateDict:
    """Return the weights of a network that has the size of ``larger`` and the outputs of ``smaller``.

    Its new channels compute what those of ``larger`` compute, but have no effect. Raises OptionError if ``smaller`` is larger, or
    for networks that cannot grow.
    """
    if PSFR_GENERATOR.matches(larger):
        generator = _built(PSFR_GENERATOR, larger)
        grow_generator(generator, _built(PSFR_GENERATOR, smaller))
        return generator.state_dict()
    if PARSE_NET.matches(larger):
        parse_net = _built(PARSE_NET, larger)
        grow_parse_net(parse_net, _built(PARSE_NET, smaller))
        return parse_net.state_dict()
    raise OptionError("Detectors of different sizes cannot be blended. Use two detectors of the same size.")


def _built(architecture: Architecture[N], weights: StateDict) -> N:
    network = architecture.build(weights)
    network.load_state_dict(weights)
    return network


def _interpolated(one: StateDict, other: StateDict, amount: float) -> StateDict:
    """Interpolate the floating-point tensors. Integers, which count batches, are taken from ``one``."""
    return {
        key: value.float().lerp(other[key].float(), amount) if value.is_floating_point() else value
        for key, value in one.items()
    }
