"""Check that the bundled networks give the same results on the device as on the CPU in float32."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import torch
from torch import Tensor

from ...faces.detector import BUNDLED_DETECTOR, make_detector
from ...faces.face import Face
from ...models.loader import load_detector_network, load_generator, load_parse_net
from ...networks.inference.optimize import optimized_on
from ...networks.parse_net import ParseNet
from ...networks.psfr_generator import PsfrGenerator
from ...parsing.parse_map import ParseMap
from ...parsing.parser import parse_faces
from ...restoration.enhance import enhance_faces
from ...restoration.restoration_models import BUNDLED_PARSE_NET
from ..metrics.psnr import psnr
from .check import Finding, Outcome, passed_if
from .portrait import drawn_crops, drawn_portrait

MAX_SHIFT = 0.5  # maximum difference of box and landmark coordinates, in pixels
MAX_SCORE_DIFFERENCE = 0.01


@dataclass(frozen=True)
class Limit:
    """Minimum PSNR of restored faces in dB, and minimum fraction of equal labels."""

    psnr: float
    equal_labels: float


# CPUs reach 124 dB in float32, 82 dB in float16 and 64 dB in bfloat16. In float32, GPUs may compute convolutions in TF32, which
# has the precision of float16. A network that returns its input unchanged would reach 34 to 36 dB.
LIMITS: Mapping[torch.dtype, Limit] = MappingProxyType(
    {
        torch.float32: Limit(75, 0.999),
        torch.float16: Limit(75, 0.999),
        torch.bfloat16: Limit(57, 0.995),
    }
)


@torch.no_grad()
def generator_equality(name: str, device: torch.device, dtype: torch.dtype) -> Finding:
    """Compare a bundled generator in ``dtype`` on ``device`` with the same generator in float32 on the CPU."""
    return compare_generators(load_generator(name), optimized_on(load_generator(name), device, dtype), dtype)


def compare_generators(plain: PsfrGenerator, optimized: PsfrGenerator, dtype: torch.dtype) -> Finding:
    """Compare the faces that both generators restore; ``plain`` is in float32 on the CPU."""
    crops, maps = drawn_crops(1, plain.size), drawn_maps(plain.size)
    expected, found = (enhance_faces(crops, maps, network) for network in (plain, optimized))
    return similarity(found, expected, dtype)


@cache
def drawn_maps(side: int) -> ParseMap:
    """Return the parse map of the drawn face at ``side`` pixels, computed on the CPU in float32."""
    return parse_faces(drawn_crops(1, side), optimized_on(load_parse_net(BUNDLED_PARSE_NET), "cpu", torch.float32))


def similarity(found: Tensor, expected: Tensor, dtype: torch.dtype) -> Finding:
    """Check that the PSNR between ``found`` and ``expected`` (B, 3, S, S) reaches the limit for ``dtype`` for each face."""
    decibels, limit = float(psnr(found, expected).min()), LIMITS[dtype].psnr
    difference = float((found - expected).abs().max())
    return passed_if(
        decibels >= limit, f"PSNR {decibels:.1f} dB, at least {limit} needed; largest difference {difference:.1e}"
    )


@torch.no_grad()
def parser_equality(device: torch.device, dtype: torch.dtype) -> Finding:
    """Compare the bundled parsing network in ``dtype`` on ``device`` with the same network in float32 on the CPU."""
    plain, other = load_parse_net(BUNDLED_PARSE_NET), load_parse_net(BUNDLED_PARSE_NET)
    return compare_parsers(plain, optimized_on(other, device, dtype), dtype)


def compare_parsers(plain: ParseNet, optimized: ParseNet, dtype: torch.dtype) -> Finding:
    """Compare the labels that both parsing networks predict; ``plain`` is in float32 on the CPU."""
    crops = drawn_crops(1, plain.config.size)
    expected, found = (parse_faces(crops, network).labels for network in (plain, optimized))
    equal, limit = float((found == expected).float().mean()), LIMITS[dtype].equal_labels
    return passed_if(equal >= limit, f"{equal:.3%} of the labels are equal, at least {limit:.1%} needed")


@torch.no_grad()
def detector_equality(device: torch.device) -> Finding:
    """Compare the bundled detector on ``device`` with the same detector on the CPU, both in float32."""
    plain, other = load_detector_network(BUNDLED_DETECTOR), load_detector_network(BUNDLED_DETECTOR)
    return compare_detectors(plain, optimized_on(other, device, torch.float32))


def compare_detectors(plain: torch.nn.Module, optimized: torch.nn.Module) -> Finding:
    """Compare the number, boxes, landmarks and scores of the faces that both detectors find in the drawn portrait."""
    image = drawn_portrait()[None]
    expected, found = (make_detector(network).detect(image)[0] for network in (plain, optimized))
    if len(expected) != len(found) or not expected:
        return Finding(Outcome.FAILED, f"{len(found)} faces found, {len(expected)} on the CPU; 1 face is drawn")
    shift = max(float((_points(a) - _points(b)).abs().max()) for a, b in zip(expected, found, strict=True))
    difference = max(abs(a.score - b.score) for a, b in zip(expected, found, strict=True))
    return passed_if(
        shift <= MAX_SHIFT and difference <= MAX_SCORE_DIFFERENCE,
        f"boxes and landmarks differ by {shift:.1e} px, at most {MAX_SHIFT} allowed; scores by {difference:.1e}, "
        f"at most {MAX_SCORE_DIFFERENCE} allowed",
    )


def _points(face: Face) -> Tensor:
    return torch.cat([torch.tensor(face.box), face.landmarks.flatten()])
