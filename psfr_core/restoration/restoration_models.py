"""The three networks of a restoration, loaded and placed together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import torch

from ..device import resolve_device
from ..faces.detection_options import DetectionOptions
from ..faces.detector import BUNDLED_DETECTOR, load_detector
from ..faces.face import FaceDetector
from ..models.loader import load_face_restorer, load_parse_net
from ..models.manifest import ModelKind
from ..networks.face_restorer import FaceRestorer
from ..networks.inference.compile import compile_for_inference
from ..networks.inference.optimize import fastest_dtype, optimized_on
from ..networks.parse_net import ParseNet

logger = logging.getLogger(__name__)
BUNDLED_GENERATOR = "psfrgan-256"
BUNDLED_PARSE_NET = "parsenet-256"


class ModelPreset(str, Enum):
    """Known models that belong together."""

    BUNDLED_256 = "bundled 256"
    BUNDLED_512 = "bundled 512"
    PUBLISHED_512 = "published 512"

    def model_of(self, kind: ModelKind) -> str:
        """Return the name of the model of this kind."""
        return _PRESETS[self][kind]


_PRESETS = {
    ModelPreset.BUNDLED_256: {
        ModelKind.GENERATOR: BUNDLED_GENERATOR,
        ModelKind.PARSER: BUNDLED_PARSE_NET,
        ModelKind.DETECTOR: BUNDLED_DETECTOR,
    },
    ModelPreset.BUNDLED_512: {
        ModelKind.GENERATOR: "psfrgan-512-small",
        ModelKind.PARSER: BUNDLED_PARSE_NET,
        ModelKind.DETECTOR: BUNDLED_DETECTOR,
    },
    ModelPreset.PUBLISHED_512: {
        ModelKind.GENERATOR: "psfrgan-512",
        ModelKind.PARSER: "parsenet-512",
        ModelKind.DETECTOR: "retinaface-resnet50",
    },
}


@dataclass(frozen=True, eq=False)
class RestorationModels:
    """What a restoration works with. The networks may differ in size: crops are made for the generator."""

    generator: FaceRestorer
    parse_net: ParseNet
    detector: FaceDetector

    @property
    def crop_size(self) -> int:
        """Side in pixels of the crops the generator takes."""
        return self.generator.size


def load_models(
    generator: str | Path = BUNDLED_GENERATOR,
    parser: str | Path = BUNDLED_PARSE_NET,
    detector: str | Path | None = None,
    *,
    detection: DetectionOptions | None = None,
    folders: Sequence[str | Path] = (),
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    compile_networks: bool = False,
    download: bool = False,
    fidelity: float | None = None,
) -> RestorationModels:
    """Load the models by their names or paths; the defaults are the bundled models.

    ``generator`` may also be a GFPGAN, RestoreFormer or CodeFormer file, and ``fidelity`` is an option of CodeFormer: see
    ``load_face_restorer``. ``detector`` None takes a RetinaFace when one is at hand and the bundled detector otherwise. Known
    models are looked for in ``folders`` and the default folder; ``download`` allows to fetch missing ones. ``device`` None is
    the best one there is; generator and parser compute in ``dtype`` (None: ``fastest_dtype``), the detector in float32. All
    are optimized for that device and stay there: see ``optimize_for_inference``. ``compile_networks`` puts generator and
    parser through ``torch.compile`` as well, which takes a minute at the first face and pays for many on a GPU: see
    ``compile_for_inference``.
    Raises ModelNotFoundError, CheckpointError, DownloadError, OptionError for a device that cannot be used, and
    MissingPackageError for a RetinaFace without facexlib.
    """
    device = resolve_device(device)
    restorer = load_face_restorer(generator, fidelity=fidelity, folders=folders, download=download)
    restorer = optimized_on(restorer, device, dtype or fastest_dtype(device, restorer))
    parse_net = load_parse_net(parser, folders=folders, download=download)
    parse_net = optimized_on(parse_net, device, dtype or fastest_dtype(device, parse_net))
    if compile_networks and device.type == "cpu":
        logger.warning("torch.compile is left out: on a CPU the networks are faster without it.")
    elif compile_networks:
        restorer, parse_net = compile_for_inference(restorer), compile_for_inference(parse_net)
    found = load_detector(detector, options=detection, folders=folders, device=device, download=download)
    return RestorationModels(restorer, parse_net, found)
