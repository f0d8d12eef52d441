"""Recipes: everything that determines what a training run gives, as values.

A recipe is read from a file by ``recipe_file``, carried out by ``experiment.run``, and kept in the run folder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import ClassVar, TypeAlias

from ...errors import OptionError
from ...networks.compact_face_net import CompactFaceNetConfig
from ...networks.discriminator import DiscriminatorConfig
from ...networks.parse_net import ParseNetConfig
from ...networks.psfr_generator import GeneratorConfig
from ...options import option
from .generator_losses import GeneratorLossConfig
from .loop_config import LoopConfig
from .parser import ParserLossConfig

VALIDATION_COUNT = 32


@dataclass(frozen=True)
class FaceFolders:
    """Folders of aligned faces and of their labels; ``find_face_files`` says what lies where."""

    faces: tuple[Path, ...] = option((), "folders of faces to train on")
    labels: tuple[Path, ...] = option((), "label folder of each face folder")
    val_faces: tuple[Path, ...] = option((), "folders of faces to validate on, not trained on")
    val_labels: tuple[Path, ...] = option((), "label folder of each validation folder")
    val_count: int | None = option(None, f"number of validation samples; default: {VALIDATION_COUNT}, or all if fewer")

    def validation_samples(self, available: int | None = None) -> int:
        """Return the number of validation samples; ``available`` faces are the limit, None stands for no limit.

        Raises OptionError when ``val_count`` is out of range.
        """
        if self.val_count is None:
            return VALIDATION_COUNT if available is None else min(VALIDATION_COUNT, available)
        if self.val_count < 1 or (available is not None and self.val_count > available):
            limit = "at least 1" if available is None else f"from 1 to {available}, the number of validation faces"
            raise OptionError(f"data.val_count must be {limit}, got {self.val_count}.")
        return self.val_count


class DiscriminatorInput(str, Enum):
    """What the discriminator sees."""

    IMAGES = "images"  # as published
    FEATURES = "features"  # activations of the feature network: learns within hundreds of steps


@dataclass(frozen=True)
class LossNetworkSources:
    """Models and files that judge the generator or feed it; None leaves a network out."""

    parser: str | None = option(None, "model that makes the input maps, as in use; default: the true maps")
    features: str | None = option(None, "ImageNet feature network: a weight file, or vgg19 (downloaded)")
    heads: Path | None = option(None, "file of the LPIPS v0.1 heads that belong to the feature network")
    discriminator_input: DiscriminatorInput = option(
        DiscriminatorInput.IMAGES, "images, as published, or features, which learns much faster"
    )
    discriminator: DiscriminatorConfig | None = option(
        None, "sizes of a discriminator on images; default: as published"
    )

    def __post_init__(self) -> None:
        if self.discriminator_input is DiscriminatorInput.IMAGES:
            return
        if self.discriminator is not None:
            raise OptionError(
                "loss_networks.discriminator gives the sizes of a discriminator on images: leave it out, or set "
                "discriminator_input to images."
            )
        if self.features is None:
            raise OptionError("A discriminator on features needs a feature network: set loss_networks.features.")


@dataclass(frozen=True)
class TrainingRecipe:
    """What all networks have in common."""

    data: FaceFolders
    loop: LoopConfig
    start_from: str | None = option(None, "model or weight file to begin with; default: random weights")
    license: str = option("unknown", "license of the result, kept in its metadata")


@dataclass(frozen=True, kw_only=True)
class ParserRecipe(TrainingRecipe):
    """Training of a face parsing network."""

    kind: ClassVar[str] = "parser"
    network: ParseNetConfig
    losses: ParserLossConfig = field(default_factory=ParserLossConfig)
    degradation: str = option("paper", "degradation preset, or a JSON file of ranges")
    closed_eyes: float = option(
        0.4,
        "share of samples whose eyes are drawn closed or narrow, 0 to 1, where the degradation leaves that visible: lids "
        "become skin",
    )


@dataclass(frozen=True, kw_only=True)
class DetectorRecipe(TrainingRecipe):
    """Training of a face detector."""

    kind: ClassVar[str] = "detector"
    network: CompactFaceNetConfig = field(default_factory=CompactFaceNetConfig)
    backgrounds: tuple[Path, ...] = option((), "folders of images without faces")
    teacher: str = option("retinaface-mobile0.25", "RetinaFace that labels the faces: a model or a weight file")
    scene_side: int = option(320, "side of the training scenes, pixels")


@dataclass(frozen=True, kw_only=True)
class GeneratorRecipe(TrainingRecipe):
    """Training of a PSFR-GAN generator."""

    kind: ClassVar[str] = "generator"
    network: GeneratorConfig
    losses: GeneratorLossConfig = field(default_factory=GeneratorLossConfig)
    loss_networks: LossNetworkSources = field(default_factory=LossNetworkSources)
    degradation: str = option("paper", "degradation preset, or a JSON file of ranges")
    spectral_norm: bool = option(False, "normalize the generator's convolutions too, as published")

    def __post_init__(self) -> None:
        if self.loss_networks.heads and not self.losses.lpips:
            raise OptionError(
                "loss_networks.heads belong to the LPIPS term: set losses.lpips above 0, or leave them out."
            )


@dataclass(frozen=True)
class BlendRecipe:
    """Interpolation of the weights of two networks; see ``blend_weights``."""

    kind: ClassVar[str] = "blend"
    first: str
    second: str
    amount: float = option(0.5, "share of the second network, 0 to 1")


Recipe: TypeAlias = ParserRecipe | DetectorRecipe | GeneratorRecipe | BlendRecipe
RECIPES: dict[str, type[Recipe]] = {
    recipe.kind: recipe for recipe in (ParserRecipe, DetectorRecipe, GeneratorRecipe, BlendRecipe)
}
