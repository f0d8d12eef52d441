"""Define recipes, which are the values that determine the result of a training run.

Module ``recipe_file`` reads recipes from files, and ``experiment.run`` runs them. Each run folder contains a copy of its recipe.
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

MAX_DEFAULT_VALIDATION_COUNT = 32
_DEGRADATION = (
    "degradation: paper, harder, old, none, or a JSON file of ranges; a list draws one of its entries for each sample"
)


@dataclass(frozen=True)
class FaceFolders:
    """Folders of aligned faces and of their labels. See ``find_face_files`` for their layout."""

    faces: tuple[Path, ...] = option((), "folders of training faces")
    labels: tuple[Path, ...] = option((), "label folders, one for each face folder")
    val_faces: tuple[Path, ...] = option((), "folders of validation faces, which must not be training faces")
    val_labels: tuple[Path, ...] = option((), "label folders, one for each validation folder")
    skip_small: bool = option(False, "whether to leave out faces smaller than the network's input, instead of stopping")
    val_count: int | None = option(
        None, f"number of validation samples; null: {MAX_DEFAULT_VALIDATION_COUNT}, or all faces if fewer"
    )

    def validation_samples(self, available: int | None = None) -> int:
        """Return the number of validation samples. ``available`` is the number of validation faces; None means no limit.

        Raises OptionError if ``val_count`` is less than 1 or greater than ``available``.
        """
        if self.val_count is None:
            return MAX_DEFAULT_VALIDATION_COUNT if available is None else min(MAX_DEFAULT_VALIDATION_COUNT, available)
        if self.val_count < 1 or (available is not None and self.val_count > available):
            limit = "at least 1" if available is None else f"from 1 to {available}, the number of validation faces"
            raise OptionError(f"data.val_count must be {limit}, got {self.val_count}.")
        return self.val_count


class DiscriminatorInput(str, Enum):
    """Input of the discriminator."""

    IMAGES = "images"  # as published
    FEATURES = "features"  # maps of the feature network, from which the discriminator learns within hundreds of steps


@dataclass(frozen=True)
class LossNetworkSources:
    """Sources of the loss networks and of the parser. None omits a network or the LPIPS heads."""

    parser: str | None = option(None, "model that computes the input parse maps, as in inference; null: the true maps")
    features: str | None = option(
        None, "ImageNet feature network: a weight file, or the name vgg19, whose weights are downloaded; null: none"
    )
    heads: Path | None = option(None, "file of LPIPS v0.1 heads for the feature network; null: none")
    identity: Path | None = option(
        None, "face recognition network: faceres.json of HSE-FaceRes, or a weight file of ArcFace; null: none"
    )
    discriminator_input: DiscriminatorInput = option(
        DiscriminatorInput.IMAGES,
        "input of the discriminator: images (published), or features, which learns much faster",
    )
    discriminator: DiscriminatorConfig | None = option(
        None, "sizes of a discriminator on images; null: the published sizes"
    )

    def __post_init__(self) -> None:
        if self.discriminator_input is DiscriminatorInput.IMAGES:
            return
        if self.discriminator is not None:
            raise OptionError(
                "loss_networks.discriminator gives the sizes of a discriminator on images: remove it, or set "
                "loss_networks.discriminator_input to images."
            )
        if self.features is None:
            raise OptionError("A discriminator on features needs a feature network: set loss_networks.features.")


@dataclass(frozen=True)
class TrainingRecipe:
    """Fields that the recipes of all networks share."""

    data: FaceFolders
    loop: LoopConfig
    start_from: str | None = option(None, "model or weight file with the initial weights; null: random weights")
    license: str = option("unknown", "license of the result, written into its metadata")


@dataclass(frozen=True, kw_only=True)
class ParserRecipe(TrainingRecipe):
    """Recipe for training a face parsing network."""

    kind: ClassVar[str] = "parser"
    network: ParseNetConfig
    losses: ParserLossConfig = field(default_factory=ParserLossConfig)
    degradation: str | tuple[str, ...] = option("paper", _DEGRADATION)
    closed_eyes: float = option(
        0.4,
        "fraction of samples, 0 to 1, with eyes drawn closed or narrowed, unless the degradation hides the lids",
    )

    @property
    def face_size(self) -> int:
        return self.network.size


@dataclass(frozen=True, kw_only=True)
class DetectorRecipe(TrainingRecipe):
    """Recipe for training a face detector."""

    kind: ClassVar[str] = "detector"
    network: CompactFaceNetConfig = field(default_factory=CompactFaceNetConfig)
    backgrounds: tuple[Path, ...] = option((), "folders of images without faces")
    teacher: str = option("retinaface-mobile0.25", "RetinaFace that labels the faces: a model name or a weight file")
    scene_side: int = option(320, "side of the training scenes, in pixels")

    @property
    def face_size(self) -> int:
        return 256  # scenes contain faces of up to 250 px


@dataclass(frozen=True, kw_only=True)
class GeneratorRecipe(TrainingRecipe):
    """Recipe for training a PSFR-GAN generator."""

    kind: ClassVar[str] = "generator"
    network: GeneratorConfig
    losses: GeneratorLossConfig = field(default_factory=GeneratorLossConfig)
    loss_networks: LossNetworkSources = field(default_factory=LossNetworkSources)
    degradation: str | tuple[str, ...] = option("paper", _DEGRADATION)
    spectral_norm: bool = option(False, "whether the generator has spectral norm, as published")

    def __post_init__(self) -> None:
        if self.loss_networks.heads and not self.losses.lpips:
            raise OptionError("loss_networks.heads are for the LPIPS term: set losses.lpips above 0, or remove them.")
        if self.loss_networks.identity and not self.losses.identity:
            raise OptionError(
                "loss_networks.identity is for the identity term: set losses.identity above 0, or remove the network."
            )
        sees_images = self.losses.needs_discriminator and (
            self.loss_networks.discriminator_input is DiscriminatorInput.IMAGES
        )
        discriminator = self.loss_networks.discriminator or DiscriminatorConfig()
        if sees_images and self.network.size < discriminator.min_side:
            raise OptionError(
                f"A discriminator with {discriminator.scales} scales and {len(discriminator.channels)} layers needs faces of at "
                f"least {discriminator.min_side} px, but the generator makes faces of {self.network.size} px. Set "
                "loss_networks.discriminator to fewer scales or layers."
            )

    @property
    def face_size(self) -> int:
        return self.network.size


@dataclass(frozen=True)
class BlendRecipe:
    """Recipe for interpolating the weights of two networks with ``blend_weights``."""

    kind: ClassVar[str] = "blend"
    first: str = field(
        metadata={"description": "model or weight file of the first network, not larger than the second"}
    )
    second: str = field(metadata={"description": "model or weight file of the second network"})
    amount: float = option(0.5, "weight of the second network, 0 to 1")


TrainedRecipe: TypeAlias = ParserRecipe | DetectorRecipe | GeneratorRecipe
Recipe: TypeAlias = TrainedRecipe | BlendRecipe
RECIPES: dict[str, type[Recipe]] = {
    recipe.kind: recipe for recipe in (ParserRecipe, DetectorRecipe, GeneratorRecipe, BlendRecipe)
}
