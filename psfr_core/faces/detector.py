"""Load a face detector by its model name or from a weight file, or load the best available detector."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from ..checks import check_type
from ..device import resolve_device
from ..models.library import ModelLibrary
from ..models.loader import load_detector_network
from ..models.manifest import model_file
from ..models.retinaface_network import facexlib_works
from ..networks.compact_face_net import CompactFaceNet
from ..networks.inference.optimize import optimized_on
from .compact import CompactDetector
from .detection_options import DetectionOptions
from .face import FaceDetector
from .retinaface import RetinaFaceDetector

logger = logging.getLogger(__name__)

BUNDLED_DETECTOR = "compact-face"
PREFERRED_DETECTORS = ("retinaface-resnet50", "retinaface-mobile0.25")  # the most accurate first; both need facexlib


def load_detector(
    source: str | Path | None = None,
    *,
    options: DetectionOptions | None = None,
    folders: Sequence[str | Path] = (),
    device: torch.device | str = "cpu",
    download: bool = False,
) -> FaceDetector:
    """Load the face detector in ``source``, a model name or a weight file, on ``device``.

    Without ``source``, nothing is downloaded. The best RetinaFace whose file is in ``folders`` or the default folder is loaded if
    facexlib works, and otherwise the bundled detector. ``options`` apply to calls of the detector without options. ``folders`` and
    ``download`` apply as in ``load_generator``. Raises OptionError for an unusable device, and the errors of
    ``load_detector_network``.
    """
    chosen = default_detector(folders) if source is None else source
    network = load_detector_network(chosen, folders=folders, download=download)
    return make_detector(optimized_on(network, resolve_device(device), torch.float32), options)


def make_detector(network: nn.Module, options: DetectionOptions | None = None) -> FaceDetector:
    """Return a detector that uses ``network``, as returned by ``load_detector_network``."""
    check_type(options, DetectionOptions | None, "options")
    if isinstance(network, CompactFaceNet):
        return CompactDetector(network, options)
    return RetinaFaceDetector(network, options)


def default_detector(folders: Sequence[str | Path] = ()) -> str:
    """Return the name of the detector that ``load_detector`` uses by default.

    If a RetinaFace file is found but facexlib cannot be imported, a warning is logged.
    """
    library = ModelLibrary(folders)
    for name in PREFERRED_DETECTORS:
        path = library.find(model_file(name))
        if path is not None:
            if facexlib_works():
                return name
            logger.warning(
                "%s is not used, because facexlib cannot be imported. %s is used instead.", path, BUNDLED_DETECTOR
            )
            break
    return BUNDLED_DETECTOR
