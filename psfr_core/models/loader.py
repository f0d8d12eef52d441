"""Networks from model names and weight files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from ..networks.parse_net import ParseNet
from ..networks.psfr_generator import PsfrGenerator
from .architectures import DETECTORS, PARSE_NET, PSFR_GENERATOR, Architecture
from .build import build_network, match_architecture
from .locate import locate_model
from .manifest import ModelKind
from .state_dict import read_state_dict

N = TypeVar("N", bound=nn.Module)


def load_generator(source: str | Path, *, folders: Sequence[str | Path] = (), download: bool = False) -> PsfrGenerator:
    """The PSFR-GAN generator in ``source``, in eval mode, float32, on the CPU.

    ``source`` is the name of a known model or a path (.safetensors, .pth, .pt). A known model is looked for in the
    package, in ``folders`` and in the default folder; ``download`` allows to fetch it from the Hugging Face Hub.
    Raises ModelNotFoundError, DownloadError, or CheckpointError for a file that is damaged or something else.
    """
    path = locate_model(source, ModelKind.GENERATOR, folders=folders, download=download)
    return _load(path, (PSFR_GENERATOR,))


def load_parse_net(source: str | Path, *, folders: Sequence[str | Path] = (), download: bool = False) -> ParseNet:
    """The face parsing network in ``source``; otherwise as ``load_generator``."""
    path = locate_model(source, ModelKind.PARSER, folders=folders, download=download)
    return _load(path, (PARSE_NET,))


def load_detector_network(
    source: str | Path, *, folders: Sequence[str | Path] = (), download: bool = False
) -> nn.Module:
    """The network of a face detector, a ``CompactFaceNet`` or facexlib's ``RetinaFace``; otherwise as ``load_generator``.

    Raises MissingPackageError for RetinaFace weights when facexlib cannot be imported.
    """
    path = locate_model(source, ModelKind.DETECTOR, folders=folders, download=download)
    return _load(path, DETECTORS)


@torch.inference_mode(False)  # weights made inside it could not be moved outside, as ComfyUI does
def _load(path: Path, accepted: Sequence[Architecture[N]]) -> N:
    state_dict = read_state_dict(path)
    return build_network(state_dict, match_architecture(state_dict, accepted, path.name), path.name)
