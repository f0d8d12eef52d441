"""Load the three networks of a restoration."""

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
from ..models.loader import load_face_restorer, load_generator, load_parse_net
from ..models.manifest import ModelKind
from ..networks.face_restorer import FaceRestorer
from ..networks.inference.compile import compile_for_inference
from ..networks.inference.optimize import fastest_dtype, optimized_on
from ..networks.parse_net import ParseNet
from ..networks.sized_restorer import SizedRestorer

logger = logging.getLogger(__name__)
BUNDLED_GENERATOR = "psfrgan-256"
BUNDLED_LARGE_GENERATOR = "psfrgan-512-small"
BUNDLED = "bundled"  # stands for both bundled generators
# Crops with a larger side, in image pixels, are restored by the large generator. Its LPIPS is lower than that of the small one
# from 265 px under a mild degradation, from 364 px under the paper's, and from 300 px in the mean of both; see docs/evaluation.md.
LARGE_SIDE = 300.0
BUNDLED_PARSE_NET = "parsenet-256"


class ModelPreset(str, Enum):
    """Named set of a generator, a parsing network and a detector that belong together."""

    BUNDLED = "bundled"
    BUNDLED_256 = "bundled 256"
    BUNDLED_512 = "bundled 512"
    PUBLISHED_512 = "published 512"

    def model_of(self, kind: ModelKind) -> str:
        """Return the name of the preset's model for the task ``kind``."""
        return _PRESETS[self][kind]


_PRESETS = {
    ModelPreset.BUNDLED: {
        ModelKind.GENERATOR: BUNDLED,
        ModelKind.PARSER: BUNDLED_PARSE_NET,
        ModelKind.DETECTOR: BUNDLED_DETECTOR,
    },
    ModelPreset.BUNDLED_256: {
        ModelKind.GENERATOR: BUNDLED_GENERATOR,
        ModelKind.PARSER: BUNDLED_PARSE_NET,
        ModelKind.DETECTOR: BUNDLED_DETECTOR,
    },
    ModelPreset.BUNDLED_512: {
        ModelKind.GENERATOR: BUNDLED_LARGE_GENERATOR,
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
    """The networks for a restoration. Their input sizes may differ."""

    generator: FaceRestorer
    parse_net: ParseNet
    detector: FaceDetector

    @property
    def crop_size(self) -> int:
        """Side in pixels of the crops that the generator restores. For a ``SizedRestorer``, the side of the large generator."""
        return self.generator.size

    def crop_size_for(self, sides: Sequence[float]) -> int:
        """Return the crop size of the largest generator that crops with these ``sides`` need, in pixels.

        ``sides`` are in image pixels (see ``crop_side``). Returns ``crop_size`` if ``sides`` is empty.
        """
        return max((self.generator.for_side(side).size for side in sides), default=self.crop_size)


def load_bundled_restorer() -> SizedRestorer:
    """Load both bundled generators as one restorer, in eval mode, float32, on the CPU."""
    generators = load_generator(BUNDLED_GENERATOR), load_generator(BUNDLED_LARGE_GENERATOR)
    return SizedRestorer(*generators, LARGE_SIDE).eval()


def load_models(
    generator: str | Path = BUNDLED,
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
    """Load the models by their names or paths. By default, the bundled models are loaded.

    The generator ``bundled`` restores crops with a side of more than 300 image pixels with psfrgan-512-small, and others with
    psfrgan-256. ``generator`` may also be a GFPGAN, RestoreFormer or CodeFormer file, and ``fidelity`` is an option of CodeFormer
    (see ``load_face_restorer``). If ``detector`` is None, an available RetinaFace is loaded, or else the bundled detector.
    ``detection`` are the default options of the detector. Known models are searched for in ``folders`` and the default folder.
    With ``download``, missing models are downloaded. ``device`` None selects the best device. Generator and parser compute in
    ``dtype`` (None: ``fastest_dtype``), and the detector computes in float32. All networks are optimized for the device and must
    remain on it (see ``optimize_for_inference``). ``compile_networks`` compiles generator and parser with ``torch.compile`` on a
    GPU (see ``compile_for_inference``). The first batch of each size then takes about a minute longer, so compilation is worthwhile
    only for many faces. On a CPU, the option only logs a warning.
    Raises ModelNotFoundError, CheckpointError, DownloadError and MissingPackageError as the loaders do, and OptionError for a
    device that cannot be used, a model of another task, a ``fidelity`` out of range, or a ``dtype`` that a network cannot use.
    """
    device = resolve_device(device)
    if generator == BUNDLED:
        restorer = load_bundled_restorer()
        if fidelity is not None:
            logger.warning("fidelity has no effect on the bundled generators. Only CodeFormer has this option.")
    else:
        restorer = load_face_restorer(generator, fidelity=fidelity, folders=folders, download=download)
    restorer = optimized_on(restorer, device, dtype or fastest_dtype(device, restorer))
    parse_net = load_parse_net(parser, folders=folders, download=download)
    parse_net = optimized_on(parse_net, device, dtype or fastest_dtype(device, parse_net))
    if compile_networks and device.type == "cpu":
        logger.warning("torch.compile is not used, because the networks are faster without it on a CPU.")
    elif compile_networks:
        restorer, parse_net = compile_for_inference(restorer), compile_for_inference(parse_net)
    found = load_detector(detector, options=detection, folders=folders, device=device, download=download)
    return RestorationModels(restorer, parse_net, found)
