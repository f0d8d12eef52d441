"""Load networks by model name or weight file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from ..networks.face_restorer import FaceRestorer
from ..networks.parse_net import ParseNet
from ..networks.psfr_generator import PsfrGenerator
from .architectures import DETECTORS, PARSE_NET, PSFR_GENERATOR, Architecture
from .build import build_network, match_architecture
from .download import download_model
from .library import ModelLibrary, default_model_folder
from .manifest import ModelFile, ModelKind
from .other_restorers import build_restorer
from .state_dict import read_state_dict

N = TypeVar("N", bound=nn.Module)


def load_generator(source: str | Path, *, folders: Sequence[str | Path] = (), download: bool = False) -> PsfrGenerator:
    """Load the PSFR-GAN generator in ``source``, in eval mode, float32, on the CPU.

    ``source`` is the name of a known model or a path (.safetensors, .pth, .pt). A known model is searched in the package,
    in ``folders`` and in the default folder; with ``download``, it is downloaded if missing (see ``download_model``).
    Raises ModelNotFoundError, DownloadError, or CheckpointError for a file that is damaged or another model.
    """
    return load_network(_library(folders, download).locate(source, ModelKind.GENERATOR), (PSFR_GENERATOR,))


def load_face_restorer(
    source: str | Path,
    *,
    fidelity: float | None = None,
    folders: Sequence[str | Path] = (),
    download: bool = False,
) -> FaceRestorer:
    """Load a PSFR-GAN generator, or a GFPGAN, RestoreFormer or CodeFormer file; otherwise like ``load_generator``.

    The content tells which it is. ``fidelity`` is an option of CodeFormer, 0 to 1: 0 invents the most detail, 1 stays closest
    to the input, None is 0.5. Other restorers ignore it with a warning. Raises MissingPackageError without the package that
    builds the network: spandrel, and for CodeFormer spandrel_extra_arches.
    """
    return load_restorer_file(_library(folders, download).locate(source, ModelKind.GENERATOR), fidelity)


def load_parse_net(source: str | Path, *, folders: Sequence[str | Path] = (), download: bool = False) -> ParseNet:
    """Load the face parsing network in ``source``; otherwise like ``load_generator``."""
    return load_network(_library(folders, download).locate(source, ModelKind.PARSER), (PARSE_NET,))


def load_detector_network(
    source: str | Path, *, folders: Sequence[str | Path] = (), download: bool = False
) -> nn.Module:
    """Load the network of a face detector, a ``CompactFaceNet`` or facexlib's ``RetinaFace``; otherwise like ``load_generator``.

    Raises MissingPackageError for RetinaFace weights when facexlib cannot be imported.
    """
    return load_network(_library(folders, download).locate(source, ModelKind.DETECTOR), DETECTORS)


@torch.inference_mode(
    False
)  # ComfyUI moves weights outside inference mode, where tensors created in it cannot be moved
def load_network(path: Path, accepted: Sequence[Architecture[N]]) -> N:
    """Load the weight file ``path`` as one of the ``accepted`` architectures; raise CheckpointError for any other."""
    state_dict = read_state_dict(path)
    return build_network(state_dict, match_architecture(state_dict, accepted, path.name), path.name)


@torch.inference_mode(False)
def load_restorer_file(path: Path, fidelity: float | None = None) -> FaceRestorer:
    """Load the weight file ``path`` as ``load_face_restorer`` does."""
    return build_restorer(read_state_dict(path), path.name, fidelity)


def _library(folders: Sequence[str | Path], download: bool) -> ModelLibrary:
    return ModelLibrary(folders, _fetch if download else None)


def _fetch(entry: ModelFile) -> Path:
    return download_model(entry, default_model_folder())
