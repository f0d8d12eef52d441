"""List the known model files with their tasks, sources, sizes and hashes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from os import PathLike
from pathlib import PurePosixPath

from ..errors import ModelNotFoundError

PSFRGAN_RELEASES = "https://github.com/chaofengc/PSFRGAN/releases"
FACEXLIB_RELEASES = "https://github.com/xinntao/facexlib/releases/download"
NON_COMMERCIAL = "CC-BY-NC-SA-4.0"


def hub_address() -> str:
    """Return the address of the Hugging Face Hub, or the value of the environment variable HF_ENDPOINT if it is set."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def hub_file_address(repo_id: str, path: str, revision: str | None = None) -> str:
    """Return the address of the file ``path`` in a repository on the Hub. The default revision is ``main``."""
    return f"{hub_address()}/{repo_id}/resolve/{revision or 'main'}/{path}"


class ModelKind(str, Enum):
    """Task of a model."""

    GENERATOR = "generator"
    PARSER = "parser"
    DETECTOR = "detector"


@dataclass(frozen=True)
class ModelFile:
    """A known weight file. The size and the hash are those of ``file_name``, not of a converted copy."""

    name: str
    kind: ModelKind
    file_name: str
    licence: str
    description: str
    size_bytes: int | None = None
    sha256: str | None = None
    repo_id: str | None = None  # repository on the Hugging Face Hub
    revision: str | None = None  # commit in this repository; None for the main branch
    repo_path: str | None = None  # path in this repository; None for file_name
    url: str | None = None  # official address; None if the file ships with this package
    page: str | None = None  # web page with a link to the file
    folders: tuple[str, ...] = ()  # folders below ComfyUI's ``models`` in which node packs store the file

    @property
    def is_bundled(self) -> bool:
        """True if the file ships with this package."""
        return self.url is None

    @property
    def converted_name(self) -> str:
        """Name of the file after conversion to safetensors."""
        return str(PurePosixPath(self.file_name).with_suffix(".safetensors"))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Addresses for manual downloads of the file."""
        hub = self.repo_id and hub_file_address(self.repo_id, self.repo_path or self.file_name, self.revision)
        found = (hub, self.url, self.page)
        return tuple(address for address in found if address)


MODEL_FILES: tuple[ModelFile, ...] = (
    ModelFile(
        name="psfrgan-256",
        kind=ModelKind.GENERATOR,
        file_name="psfrgan_256.safetensors",
        licence=NON_COMMERCIAL,
        description="small PSFR-GAN generator, trained by this project",
        size_bytes=7_138_120,
        sha256="93590c64286a54b7b4addfdccb7ae4881f7bd62144841da440c81738adf5e743",
    ),
    ModelFile(
        name="psfrgan-512-small",
        kind=ModelKind.GENERATOR,
        file_name="psfrgan_512_small.safetensors",
        licence=NON_COMMERCIAL,
        description="small PSFR-GAN generator for crops over 300 px, trained by this project",
        size_bytes=7_347_888,
        sha256="6c8c989698cf7037ae5b2843a523877827f014bcc9707e9c8ed4b0aef813e7b9",
    ),
    ModelFile(
        name="parsenet-256",
        kind=ModelKind.PARSER,
        file_name="parsenet_256.safetensors",
        licence=NON_COMMERCIAL,
        description="small face parsing network, trained by this project",
        size_bytes=4_839_044,
        sha256="682455bd47ace93063ff94b6c6edd64afa6465d2325adbcd976f5a825ef82ae0",
    ),
    ModelFile(
        name="compact-face",
        kind=ModelKind.DETECTOR,
        file_name="compact_face.safetensors",
        licence=NON_COMMERCIAL,
        description="small face detector with 5 landmarks, trained by this project",
        size_bytes=1_475_118,
        sha256="b4932fa29b7ff2439ef4f84af94f74e474d8a7530e896cd3a6d60b37703d3e7d",
    ),
    ModelFile(
        name="psfrgan-512",
        kind=ModelKind.GENERATOR,
        file_name="psfrgan_epoch15_net_G.pth",
        licence=NON_COMMERCIAL,
        description="the published PSFR-GAN generator",
        url=f"{PSFRGAN_RELEASES}/download/v0.1.0/psfrgan_epoch15_net_G.pth",
        page=f"{PSFRGAN_RELEASES}/tag/v0.1.0",
        folders=("psfrgan", "facerestore_models"),
    ),
    ModelFile(
        name="parse-512",
        kind=ModelKind.PARSER,
        file_name="parse_multi_iter_90000.pth",
        licence=NON_COMMERCIAL,
        description="the published PSFR-GAN face parsing network",
        url=f"{PSFRGAN_RELEASES}/download/v0.1.0/parse_multi_iter_90000.pth",
        page=f"{PSFRGAN_RELEASES}/tag/v0.1.0",
        folders=("psfrgan", "facerestore_models"),
    ),
    ModelFile(
        name="parsenet-512",
        kind=ModelKind.PARSER,
        file_name="parsing_parsenet.pth",
        licence=f"MIT (derived from PSFR-GAN, {NON_COMMERCIAL})",
        description="PSFR-GAN's face parsing network as shipped by facexlib",
        size_bytes=85_331_193,
        sha256="3d558d8d0e42c20224f13cf5a29c79eba2d59913419f945545d8cf7b72920de2",
        repo_id="salmonrk/facedetection",
        revision="cd65f50be0c27054b0bd33a8cdbc82d3fd7e0ed9",
        repo_path="parsing_parsenet.pth",
        url=f"{FACEXLIB_RELEASES}/v0.2.2/parsing_parsenet.pth",
        folders=("facedetection", "psfrgan"),
    ),
    ModelFile(
        name="retinaface-resnet50",
        kind=ModelKind.DETECTOR,
        file_name="detection_Resnet50_Final.pth",
        licence="MIT",
        description="RetinaFace with ResNet-50 (facexlib): the most accurate detector",
        size_bytes=109_497_761,
        sha256="6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
        repo_id="salmonrk/facedetection",
        revision="cd65f50be0c27054b0bd33a8cdbc82d3fd7e0ed9",
        repo_path="detection_Resnet50_Final.pth",
        url=f"{FACEXLIB_RELEASES}/v0.1.0/detection_Resnet50_Final.pth",
        folders=("facedetection",),
    ),
    ModelFile(
        name="retinaface-mobile0.25",
        kind=ModelKind.DETECTOR,
        file_name="detection_mobilenet0.25_Final.pth",
        licence="MIT",
        description="RetinaFace with MobileNet 0.25 (facexlib): small and fast",
        size_bytes=1_789_735,
        sha256="2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220",
        repo_id="fofr/comfyui",
        revision="25a08b21d84d25d8502c94bae0b6836e843bcef6",
        repo_path="facedetection/detection_mobilenet0.25_Final.pth",
        url=f"{FACEXLIB_RELEASES}/v0.1.0/detection_mobilenet0.25_Final.pth",
        folders=("facedetection",),
    ),
)


def model_names(kind: ModelKind | None = None) -> list[str]:
    """Return the names of the known models for the task ``kind``, or of all known models."""
    return [entry.name for entry in MODEL_FILES if kind in (None, entry.kind)]


def name_choices(kind: ModelKind | None) -> str:
    """Return a sentence that lists the names of the models for the task ``kind``, or of all models."""
    return f"Choose one of {', '.join(model_names(kind))}, or the path of a {kind.value if kind else 'weight'} file."


def known_model(source: str | PathLike[str]) -> ModelFile | None:
    """Return the known model called ``source``, or None for other names and for paths."""
    return next((entry for entry in MODEL_FILES if entry.name == source), None)


def known_file(file_name: str) -> ModelFile | None:
    """Return the known model whose weight file is called ``file_name``, or None if there is none."""
    return next((entry for entry in MODEL_FILES if entry.file_name == file_name), None)


def is_model_name(source: str | PathLike[str]) -> bool:
    """Return whether ``source`` is the name of a known model and not a path."""
    return known_model(source) is not None


def model_file(name: str) -> ModelFile:
    """Return the known model called ``name``. Raise ModelNotFoundError if there is none."""
    entry = known_model(name)
    if entry is None:
        raise ModelNotFoundError(f"There is no model called {name!r}. Choose one of: {', '.join(model_names())}.")
    return entry
