"""Training of the generator: pixel, perceptual, semantic-aware style and adversarial terms (paper, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import OptionError
from ...networks.discriminator import Discriminator, DiscriminatorOutput
from ...networks.feature_discriminator import FeatureDiscriminator
from ...networks.inference.autocast import without_autocast
from ...networks.parse_net import ParseNet
from ...networks.psfr_generator import PARSE_CLASSES
from ...options import option
from ...parsing.parser import region_scores
from ...visualize import side_by_side
from ..metrics.image_features import ImageFeatures
from ..metrics.lpips import Lpips
from ..metrics.psnr import psnr
from .face_samples import FaceSample, FaceSamples
from .losses import (
    PERCEPTUAL_WEIGHTS,
    feature_matching_loss,
    hinge_discriminator_loss,
    hinge_generator_loss,
    perceptual_loss,
    psnr_loss,
    region_style_loss,
)
from .task import PICTURE_ROWS, N, TrainingTask

UNSTYLED_LAYERS = 2  # the finest ones, which the published style term leaves out
# What a discriminator sees of a batch: pictures (B, 3, H, W) in [-1, 1], or activations by layer.
_Seen: TypeAlias = Tensor | Mapping[str, Tensor]


@dataclass(frozen=True)
class GeneratorLossConfig:
    """Weight of each term of the generator's loss, and the discriminator's learning rate; a weight of 0 leaves the term out.

    ``style_per_region`` is what makes the style loss semantic-aware. The paper has neither ``psnr`` nor ``lpips``.
    """

    pixel: float = option(10.0, "weight of the L1 pixel loss")
    psnr: float = option(0.0, "weight of the negative PSNR, dB; counts lightly degraded faces as much as bad ones")
    perceptual: float = option(0.0, "weight of the perceptual loss on VGG features")
    lpips: float = option(0.0, "weight of LPIPS; needs its heads")
    style: float = option(1000.0, "weight of the style loss on Gram matrices")
    feature_matching: float = option(10.0, "weight of feature matching in all layers of the discriminator")
    adversarial: float = option(1.0, "weight of the adversarial hinge loss")
    discriminator_learning_rate: float = option(4e-4, "learning rate of the discriminator's Adam")
    feature_layers: tuple[str, ...] = option(
        ("conv1_2", "conv2_2", "conv3_3", "conv4_3"),
        "layers for the perceptual and style losses and for a discriminator on features",
    )
    feature_window: int | None = option(
        None, "side of the random window that the feature network sees, pixels; default: the whole face"
    )
    style_per_region: bool = option(True, "one Gram matrix for each face region instead of one for the whole face")

    def __post_init__(self) -> None:
        weights = (
            self.pixel,
            self.psnr,
            self.perceptual,
            self.lpips,
            self.style,
            self.feature_matching,
            self.adversarial,
        )
        if min(weights) < 0:
            raise OptionError(f"Loss weights must not be negative, got {self}.")
        if not self.discriminator_learning_rate > 0:
            raise OptionError(f"discriminator_learning_rate must be positive, got {self.discriminator_learning_rate}.")
        if self.feature_window is not None and self.feature_window < 1:
            raise OptionError(f"feature_window must be at least 1 pixel, got {self.feature_window}.")
        layers = len(self.feature_layers)
        if (self.style and layers <= UNSTYLED_LAYERS) or (self.perceptual and layers > len(PERCEPTUAL_WEIGHTS)):
            raise OptionError(
                f"The style term needs feature layers beside the finest {UNSTYLED_LAYERS}, which it leaves out, and the perceptual "
                f"term has weights for {len(PERCEPTUAL_WEIGHTS)}: got {layers}, {', '.join(self.feature_layers)}."
            )

    @property
    def needs_features(self) -> bool:
        return self.perceptual > 0 or self.style > 0 or self.lpips > 0

    @property
    def needs_discriminator(self) -> bool:
        return self.feature_matching > 0 or self.adversarial > 0


@dataclass(frozen=True, eq=False)
class LossNetworks:
    """The networks that judge the generator's output or feed it; each may be None.

    ``parser`` gives the parse map of the low-quality face as in use; without it the true map is given. ``features`` is an
    ImageNet network with the layers tapped that the losses look at, ``lpips`` the learned distance on the same network.
    ``discriminator`` is trained along.
    """

    parser: ParseNet | None = None  # in evaluation mode
    features: ImageFeatures | None = None
    lpips: Lpips | None = None
    discriminator: Discriminator | FeatureDiscriminator | None = None


class GeneratorTask(TrainingTask[N]):
    """A generator, or another network that restores in its manner, with its data, its judges and its losses."""

    def __init__(
        self,
        network: N,
        train_faces: FaceSamples,
        loss_networks: LossNetworks,
        weights: GeneratorLossConfig,
        validation: FaceSample,
    ) -> None:
        needs_features = weights.needs_features or isinstance(loss_networks.discriminator, FeatureDiscriminator)
        if needs_features and loss_networks.features is None:
            raise OptionError(
                "The perceptual, style and LPIPS terms and a discriminator on features need a feature network: "
                "give its file, or do without them."
            )
        if weights.lpips and (
            loss_networks.lpips is None or loss_networks.lpips.features is not loss_networks.features
        ):
            raise OptionError("The LPIPS term needs the LPIPS heads of the feature network: give them, or set it to 0.")
        if weights.needs_discriminator and loss_networks.discriminator is None:
            raise OptionError("The adversarial and feature matching terms need a discriminator, or both set to 0.")
        super().__init__(network, train_faces)
        self.discriminator = loss_networks.discriminator if weights.needs_discriminator else None
        self._loss_networks = loss_networks
        self._needs_features = needs_features
        self._weights = weights
        self._validation = validation

    def discriminator_parameters(self) -> list[dict[str, Any]]:
        if self.discriminator is None:
            return []
        rate = self._weights.discriminator_learning_rate
        return [{"params": [*self.discriminator.parameters()], "lr": rate, "betas": (0.5, 0.999)}]

    def forward(self, batch: FaceSample, step: int) -> dict[str, Tensor]:
        lq, hq, labels = (part.to(self.device, non_blocking=True) for part in batch)
        lq, real = _to_network(lq), _to_network(hq)
        true_map = one_hot(labels)
        fake = self.network(lq, self._input_map(lq, true_map))
        terms = {"pixel": self._weights.pixel * F.l1_loss(fake.float(), real)}
        if self._weights.psnr:
            terms["psnr"] = self._weights.psnr * psnr_loss(fake.float(), real)
        judged: tuple[_Seen, _Seen, Tensor] = (fake, real, true_map)
        if self._needs_features:
            on_window = self._look(step, fake, real, true_map)
            terms |= self._feature_terms(*on_window)
            if isinstance(self.discriminator, FeatureDiscriminator):
                judged = on_window
        adversarial, discriminator = self._adversarial_terms(*judged)
        terms |= adversarial
        return {"total": torch.stack([term.float() for term in terms.values()]).sum(), **terms, **discriminator}

    def _input_map(self, lq: Tensor, true_map: Tensor) -> Tensor:
        if self._loss_networks.parser is None:
            return true_map
        # The parser has its own precision. Its labels are not checked, which would wait for a GPU.
        with torch.no_grad(), without_autocast(self.device):
            return one_hot(region_scores((lq + 1) / 2, self._loss_networks.parser).argmax(dim=1))

    def _window(self, seed: int, side: int) -> tuple[slice, slice]:
        """Rows and columns that the feature network looks at, the same for all samples of a step."""
        length = min(self._weights.feature_window or side, side)
        generator = torch.Generator().manual_seed(seed)
        top, left = torch.randint(side - length + 1, (2,), generator=generator).tolist()
        return slice(top, top + length), slice(left, left + length)

    def _look(
        self, step: int, fake: Tensor, real: Tensor, true_map: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
        """The activations of fake and real faces in this step's window, by layer, and the map there."""
        rows, columns = self._window(step, fake.shape[-1])
        fake, real, true_map = (images[..., rows, columns] for images in (fake, real, true_map))
        features = cast("ImageFeatures", self._loss_networks.features)
        of_fake = features((fake + 1) / 2)
        with torch.no_grad():
            of_real = features((real + 1) / 2)
        return of_fake, of_real, true_map

    def _feature_terms(
        self, fake: Mapping[str, Tensor], real: Mapping[str, Tensor], true_map: Tensor
    ) -> dict[str, Tensor]:
        weights, lpips = self._weights, self._loss_networks.lpips
        terms: dict[str, Tensor] = {}
        if weights.lpips and lpips is not None:
            terms["lpips"] = weights.lpips * lpips.compare(fake, real).mean()
        of_fake, of_real = (_at(weights.feature_layers, found) for found in (fake, real))
        if weights.perceptual:
            terms["perceptual"] = weights.perceptual * perceptual_loss(of_fake, of_real)
        if weights.style:
            regions = true_map if weights.style_per_region else torch.ones_like(true_map[:, :1])
            coarse = slice(UNSTYLED_LAYERS, None)
            terms["style"] = weights.style * region_style_loss(of_fake[coarse], of_real[coarse], regions)
        return terms

    def _adversarial_terms(
        self, fake: _Seen, real: _Seen, true_map: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The generator's terms against the discriminator, and the discriminator's loss on the same faces.

        Both are of the discriminator as it is before the step, so they do not depend on the parts a step is done in.
        """
        if self.discriminator is None:
            return {}, {}
        discriminator = cast("Callable[[_Seen, Tensor], list[DiscriminatorOutput]]", self.discriminator)
        judged_real, judged_fake = discriminator(real, true_map), discriminator(_detached(fake), true_map)
        pairs = list(zip(judged_real, judged_fake, strict=True))
        loss = torch.stack([hinge_discriminator_loss(r.score.float(), f.score.float()) for r, f in pairs]).mean()

        self.discriminator.requires_grad_(False)  # what the generator is told must not move its judge
        judged_fake = discriminator(fake, true_map)
        self.discriminator.requires_grad_(True)
        adversarial = torch.stack([hinge_generator_loss(f.score.float()) for f in judged_fake]).mean()
        matching = torch.stack(
            [feature_matching_loss(f.features, r.features) for f, r in zip(judged_fake, judged_real, strict=True)]
        ).mean()
        terms = {
            "adversarial": self._weights.adversarial * adversarial,
            "feature_matching": self._weights.feature_matching * matching,
        }
        return terms, {"discriminator": loss}

    @torch.no_grad()
    def validate(self, network: N) -> dict[str, float]:
        figures: dict[str, list[Tensor]] = {}
        for degraded, clean, labels in zip(*self._validation, strict=True):
            real = clean[None].to(self.device)
            restored = self._restored(network, degraded, labels)
            found = {"psnr_db": psnr(restored, real)} | self._distances(restored, real)
            for name, value in found.items():
                figures.setdefault(name, []).append(value)
        return {name: float(torch.stack(values).mean()) for name, values in figures.items()}

    def _distances(self, restored: Tensor, real: Tensor) -> dict[str, Tensor]:
        """As the feature network sees them, where there is one."""
        features, lpips = self._loss_networks.features, self._loss_networks.lpips
        if features is None:
            return {}
        found, wanted = features(restored), features(real)
        if lpips is not None:
            return {"lpips": lpips.compare(found, wanted)}
        layers = self._weights.feature_layers
        return {"perceptual": perceptual_loss(_at(layers, found), _at(layers, wanted))}

    @torch.no_grad()
    def picture(self, network: N) -> Tensor:
        """Degraded, restored and clean faces, one a row."""
        rows: list[Tensor] = []
        for lq, hq, labels in zip(*(part[:PICTURE_ROWS] for part in self._validation), strict=True):
            restored = self._restored(network, lq, labels)[0].float().cpu()
            rows.append(side_by_side([lq, restored, hq]))
        return torch.cat(rows, dim=1)

    def _restored(self, network: nn.Module, lq: Tensor, labels: Tensor) -> Tensor:
        """One face (1, 3, S, S), from ``lq`` (3, S, S), both in [0, 1]."""
        image = _to_network(lq[None].to(self.device))
        restored = network(image, self._input_map(image, one_hot(labels[None].to(self.device))))
        return (restored.clamp(-1, 1) + 1) / 2


def _at(layers: Sequence[str], features: Mapping[str, Tensor]) -> list[Tensor]:
    return [features[layer] for layer in layers]


def _detached(seen: _Seen) -> _Seen:
    return seen.detach() if isinstance(seen, Tensor) else {name: part.detach() for name, part in seen.items()}


def one_hot(labels: Tensor) -> Tensor:
    """Labels (B, H, W) as (B, 19, H, W) of 0 and 1."""
    return F.one_hot(labels, PARSE_CLASSES).permute(0, 3, 1, 2).float()


def _to_network(image: Tensor) -> Tensor:
    return (image * 2 - 1).contiguous(memory_format=torch.channels_last)
