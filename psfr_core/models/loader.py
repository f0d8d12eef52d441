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

    ``source`` is the name of a known model or a path (.safetensors, .pth, .pt). A known model is searched for in the package, in
    ``folders`` and in the default folder. With ``download``, a missing model is downloaded (see ``download_model``).
    Raises ModelNotFoundError, DownloadError, OptionError for a known model with another task, or CheckpointError for a file that is
    damaged or contains another network.
    """
    return load_network(_library(folders, download).locate(source, ModelKind.GENERATOR), (PSFR_GENERATOR,))


def load_face_restorer(
    source: str | Path,
    *,
    fidelity: float | None = None,
    folders: Sequence[str | Path] = (),
    download: bool = False,
) -> FaceRestorer:
    """Load a PSFR-GAN generator, GFPGAN, RestoreFormer or CodeFormer; otherwise like ``load_generator``.

    The network is recognized from the content of the file. ``fidelity`` is an option of CodeFormer, 0 to 1: 0 invents the most
    detail, 1 stays closest to the input, and None stands for 0.5. Other restorers ignore it with a warning. Raises OptionError for
    a fidelity out of range, and MissingPackageError without the package that builds the network, which is spandrel_extra_arches for
    CodeFormer and spandrel for GFPGAN and RestoreFormer.
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


# ComfyUI moves weights outside inference mode, which fails for tensors that were created in inference mode.
@torch.inference_mode(False)
def load_network(path: Path, accepted: Sequence[Architecture[N]]) -> N:
    """Load the weight file ``path`` if it has one of the ``accepted`` architectures. Otherwise, raise CheckpointError."""
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
