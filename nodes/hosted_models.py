"""Load model files as networks whose memory ComfyUI manages."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from torch import nn

from ..psfr_core.faces.detector import make_detector
from ..psfr_core.models.architectures import DETECTORS, PARSE_NET, PSFR_GENERATOR
from ..psfr_core.models.loader import load_network, load_restorer_file
from ..psfr_core.models.manifest import ModelKind
from ..psfr_core.models.other_restorers import DEFAULT_FIDELITY
from ..psfr_core.networks.face_restorer import FaceRestorer, OtherRestorer
from ..psfr_core.networks.parse_net import ParseNet
from ..psfr_core.restoration.restoration_models import ModelPreset, RestorationModels, load_bundled_restorer
from .model_folders import locate_model
from .runtime import HostedNetwork, Precision, on_device

_DETECTION_BYTES = 2**29  # RetinaFace with ResNet-50 needs two thirds of this for 1920 x 1088 pixels
_FACE_BYTES_PER_PIXEL = 6 * 64 * 4  # the networks hold about six maps of 64 float32 channels at once
_OTHER_RESTORER_BYTES = 900_000_000  # for a face of 512 px in float32; RestoreFormer needs the most, 830 MB


def host_generator(path: Path, precision: Precision) -> HostedNetwork[FaceRestorer]:
    """Load a generator. Raise CheckpointError for other files."""
    network: FaceRestorer = load_network(path, (PSFR_GENERATOR,))
    return HostedNetwork.of(network, _face_bytes(network.size), precision)


def host_restorer(path: Path, precision: Precision, fidelity: float) -> HostedNetwork[FaceRestorer]:
    """Load a face restorer. ``fidelity``, 0 to 1, applies only to CodeFormer.

    Precision ``auto`` means float32 for restorers other than PSFR-GAN, because their quality in other types was not measured.
    Raise CheckpointError for other files, MissingPackageError without the package that builds the network, and OptionError for a
    precision that the network does not support.
    """
    network = load_restorer_file(path, None if fidelity == DEFAULT_FIDELITY else fidelity)
    if not isinstance(network, OtherRestorer):
        return HostedNetwork.of(network, _face_bytes(network.size), precision)
    if precision is Precision.AUTO:
        precision = Precision.FLOAT32
    return HostedNetwork.of(network, _OTHER_RESTORER_BYTES, precision)


def host_parser(path: Path, precision: Precision) -> HostedNetwork[ParseNet]:
    """Load a face parser. Raise CheckpointError for other files."""
    network = load_network(path, (PARSE_NET,))
    return HostedNetwork.of(network, _face_bytes(network.config.size), precision)


def host_detector(path: Path) -> HostedNetwork[nn.Module]:
    """Load a face detector in float32.

    Raise CheckpointError for other files, and MissingPackageError for a RetinaFace detector without facexlib.
    """
    return HostedNetwork.of(load_network(path, DETECTORS), _DETECTION_BYTES, Precision.FLOAT32)


def host_bundled_generators(precision: Precision) -> HostedNetwork[FaceRestorer]:
    """Load both bundled generators: one for small and one for large faces."""
    network: FaceRestorer = load_bundled_restorer()
    return HostedNetwork.of(network, _face_bytes(network.size), precision)


@cache
def bundled_generators() -> HostedNetwork[FaceRestorer]:
    """Return both bundled generators. They are loaded once and shared by all nodes to which no generator is connected."""
    return host_bundled_generators(Precision.AUTO)


@cache
def bundled_parser() -> HostedNetwork[ParseNet]:
    """Return the bundled face parser, which is loaded once and shared by all nodes to which no parser is connected."""
    return host_parser(_bundled(ModelKind.PARSER), Precision.AUTO)


@cache
def bundled_detector() -> HostedNetwork[nn.Module]:
    """Return the bundled face detector, which is loaded once and shared by all nodes to which no detector is connected."""
    return host_detector(_bundled(ModelKind.DETECTOR))


@contextmanager
def models_on_device(
    generator: HostedNetwork[FaceRestorer] | None,
    parser: HostedNetwork[ParseNet] | None,
    detector: HostedNetwork[nn.Module] | None,
) -> Generator[RestorationModels]:
    """Load the networks on ComfyUI's device while the block runs, and yield them. Bundled networks replace those that are None."""
    generator = generator or bundled_generators()
    parser = parser or bundled_parser()
    detector = detector or bundled_detector()
    with on_device(generator, parser, detector):
        yield RestorationModels(generator.network, parser.network, make_detector(detector.network))


def _bundled(kind: ModelKind) -> Path:
    return locate_model(ModelPreset.BUNDLED.model_of(kind), kind, may_download=False)


def _face_bytes(side: int) -> int:
    return side * side * _FACE_BYTES_PER_PIXEL
