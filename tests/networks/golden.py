"""Recreate the weights and inputs with which the published networks computed the outputs in tests/data/official.npz."""

from __future__ import annotations

import json
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import RandomState
from torch import Tensor

DATA = Path(__file__).parents[1] / "data"


@cache
def arrays() -> dict[str, np.ndarray]:
    """Return the arrays of official.npz by name."""
    with np.load(DATA / "official.npz") as archive:
        return dict(archive)


def expected(name: str) -> Tensor:
    """Return the golden output ``name``."""
    return torch.from_numpy(arrays()[name])


def expected_loss(name: str) -> float:
    """Return the golden loss value ``name``."""
    return json.loads((DATA / "official.json").read_text())["losses"][name]


def features(name: str) -> list[Tensor]:
    """Return the five random feature maps ``name`` (``x`` or ``y``) for the losses, finest first."""
    shapes = [(2, channels, side, side) for channels, side in ((8, 64), (16, 32), (32, 16), (64, 8), (64, 4))]
    return [
        torch.from_numpy(_random(f"loss/{name}{index}").standard_normal(shape)).float()
        for index, shape in enumerate(shapes)
    ]


def _random(name: str) -> RandomState:
    return RandomState(zlib.crc32(name.encode()))


def _weight(network: str, key: str, shape: list[int]) -> np.ndarray:
    random = _random(key)
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if key.endswith(("running_var", ".norm.norm.weight")):
        return 0.5 + random.rand(*shape)
    if key == "const_input":
        return random.standard_normal(shape)
    if key.endswith(("weight_u", "weight_v")):
        return arrays()[f"uv/{network}/{key}"]
    if len(shape) == 4:
        gain = 0.4 if network == "parsenet" else 1.0
        return gain * random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    return 0.1 * random.standard_normal(shape)


def state_dict(network: str) -> dict[str, Tensor]:
    """Return the weights of ``generator``, ``parsenet`` or ``discriminator`` with published names and spectral norm."""
    shapes: dict[str, list[int]] = json.loads((DATA / "official.json").read_text())[network]
    weights = {key: torch.from_numpy(np.asarray(_weight(network, key, shape))) for key, shape in shapes.items()}
    return {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}


def image(name: str, batch: int, side: int) -> Tensor:
    """Return the random images ``name`` (batch, 3, side, side) in [-1, 1]."""
    random = _random(name)
    low = torch.from_numpy(random.standard_normal((batch, 3, side // 32, side // 32)))
    smooth = F.interpolate(low, (side, side), mode="bilinear", align_corners=False)
    noise = torch.from_numpy(random.standard_normal((batch, 3, side, side)))
    return torch.tanh(smooth + 0.1 * noise).float()


def parse_one_hot(name: str, batch: int, side: int) -> Tensor:
    """Return the random one-hot parse maps ``name`` (batch, 19, side, side)."""
    labels = torch.from_numpy(_random(name).randint(0, 19, (batch, side // 32, side // 32)))
    labels = labels.repeat_interleave(32, 1).repeat_interleave(32, 2)
    return F.one_hot(labels, 19).permute(0, 3, 1, 2).float()
