"""A face detector from a model name, a weight file, or whatever is there."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import torch

from ..networks.face_net import FaceNet
from ..weights.loader import load_detector_network
from ..weights.locate import find_model_file
from ..weights.manifest import model_file
from .compact import CompactDetector
from .face import FaceDetector
from .options import DetectionOptions
from .retinaface import RetinaFaceDetector

BUNDLED_DETECTOR = "facenet"
PREFERRED_DETECTORS = ("retinaface-resnet50", "retinaface-mobile0.25")  # most accurate first; need facexlib


def load_detector(
    source: str | Path | None = None,
    *,
    options: DetectionOptions | None = None,
    folders: Sequence[str | Path] = (),
    device: torch.device | str | None = None,
    download: bool = False,
) -> FaceDetector:
    """The face detector in ``source``, a model name or a weight file, on ``device`` (None: the CPU).

    Without ``source`` it is the best RetinaFace whose file is in ``folders`` or the default folder, if facexlib is
    installed, else the bundled detector; nothing is downloaded for that. Errors are those of ``load_detector_network``.
    """
    chosen = default_detector(folders) if source is None else source
    network = load_detector_network(chosen, folders=folders, download=download).to(device or "cpu")
    if isinstance(network, FaceNet):
        return CompactDetector(network, options)
    return RetinaFaceDetector(network, options)


def default_detector(folders: Sequence[str | Path] = ()) -> str:
    """The name of the detector that ``load_detector`` takes when none is named."""
    if importlib.util.find_spec("facexlib") is not None:
        for name in PREFERRED_DETECTORS:
            if find_model_file(model_file(name), folders) is not None:
                return name
    return BUNDLED_DETECTOR
