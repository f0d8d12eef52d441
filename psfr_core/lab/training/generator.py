"""Train the generator with pixel, perceptual, semantic-aware style and adversarial losses (paper, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import OptionError
from ...networks.discriminator import DiscriminatorOutput
from ...networks.feature_discriminator import FeatureDiscriminator
from ...networks.inference.autocast import without_autocast
from ...networks.psfr_generator import PARSE_CLASSES
from ...parsing.parser import region_scores
from ...visualize import side_by_side
from ..metrics.identity import CosineIdentity
from ..metrics.image_features import ImageFeatures
from ..metrics.psnr import psnr
from .face_samples import FaceSample, FaceSamples
from .generator_losses import UNSTYLED_LAYERS, GeneratorLossConfig, LossNetworks
from .losses import (
    feature_matching_loss,
    hinge_discriminator_loss,
    hinge_generator_loss,
    perceptual_loss,
    psnr_loss,
    region_style_loss,
)
from .task import MAX_PREVIEW_FACES, N, TrainingTask

# Images (B, 3, H, W) in [-1, 1], or feature maps by layer.
_DiscriminatorInput: TypeAlias = Tensor | Mapping[str, Tensor]


class GeneratorTask(TrainingTask[N]):
    """Training of a generator, or of another network with the same interface.

    Raises OptionError if a network is missing that a loss with a positive weight or the discriminator needs.
    """

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
                "set loss_networks.features, or set these weights to 0."
            )
        if weights.lpips and (
            loss_networks.lpips is None or loss_networks.lpips.features is not loss_networks.features
        ):
            raise OptionError(
                "The LPIPS term needs the LPIPS heads of the feature network: set loss_networks.heads, or set losses.lpips to 0."
            )
        if weights.identity and loss_networks.identity is None:
            raise OptionError(
                "The identity term needs a face recognition network: set loss_networks.identity, or set losses.identity to 0."
            )
        if weights.needs_discriminator and loss_networks.discriminator is None:
            raise OptionError(
                "The adversarial and feature matching terms need a discriminator: give one, or set both weights to 0."
            )
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
        lq, real = _to_network_input(lq), _to_network_input(hq)
        true_map = one_hot(labels)
        fake = self.network(lq, self._input_map(lq, true_map))
        terms = {"pixel": self._weights.pixel * F.l1_loss(fake.float(), real)}
        if self._weights.psnr:
            terms["psnr"] = self._weights.psnr * psnr_loss(fake.float(), real)
        if self._weights.identity:
            terms["identity"] = self._weights.identity * self._identity_distance(fake, real)
        inputs: tuple[_DiscriminatorInput, _DiscriminatorInput, Tensor] = (fake, real, true_map)
        if self._needs_features:
            windowed = self._windowed_features(step, fake, real, true_map)
            terms |= self._feature_terms(*windowed)
            if isinstance(self.discriminator, FeatureDiscriminator):
                inputs = windowed
        adversarial, discriminator = self._adversarial_terms(*inputs)
        terms |= adversarial
        return {"total": torch.stack([term.float() for term in terms.values()]).sum(), **terms, **discriminator}

    def _input_map(self, lq: Tensor, true_map: Tensor) -> Tensor:
        if self._loss_networks.parser is None:
            return true_map
        # The parser runs in its own dtype. Labels are not checked, because a check would wait for the GPU.
        with torch.no_grad(), without_autocast(self.device):
            return one_hot(region_scores((lq + 1) / 2, self._loss_networks.parser).argmax(dim=1))

    def _identity_distance(self, fake: Tensor, real: Tensor) -> Tensor:
        identity = cast("CosineIdentity", self._loss_networks.identity)
        with torch.no_grad():
            expected = identity.embed((real + 1) / 2)
        return identity.distance(identity.embed((fake + 1) / 2), expected).mean()

    def _window(self, seed: int, side: int) -> tuple[slice, slice]:
        """Return the rows and columns of the window that the feature network gets; ``seed`` determines the position."""
        length = min(self._weights.feature_window or side, side)
        generator = torch.Generator().manual_seed(seed)
        top, left = torch.randint(side - length + 1, (2,), generator=generator).tolist()
        return slice(top, top + length), slice(left, left + length)

    def _windowed_features(
        self, step: int, fake: Tensor, real: Tensor, true_map: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
        """Return the feature maps of fake and real faces by layer, and the parse map, all in the window of this step."""
        rows, columns = self._window(step, fake.shape[-1])
        fake, real, true_map = (images[..., rows, columns] for images in (fake, real, true_map))
        features = cast("ImageFeatures", self._loss_networks.features)
        fake_features = features((fake + 1) / 2)
        with torch.no_grad():
            real_features = features((real + 1) / 2)
        return fake_features, real_features, true_map

    def _feature_terms(
        self, fake: Mapping[str, Tensor], real: Mapping[str, Tensor], true_map: Tensor
    ) -> dict[str, Tensor]:
        weights, lpips = self._weights, self._loss_networks.lpips
        terms: dict[str, Tensor] = {}
        if weights.lpips and lpips is not None:
            terms["lpips"] = weights.lpips * lpips.compare(fake, real).mean()
        fake_layers, real_layers = (_select(weights.feature_layers, features) for features in (fake, real))
        if weights.perceptual:
            terms["perceptual"] = weights.perceptual * perceptual_loss(fake_layers, real_layers)
        if weights.style:
            regions = true_map if weights.style_per_region else torch.ones_like(true_map[:, :1])
            coarse = slice(UNSTYLED_LAYERS, None)
            terms["style"] = weights.style * region_style_loss(fake_layers[coarse], real_layers[coarse], regions)
        return terms

    def _adversarial_terms(
        self, fake: _DiscriminatorInput, real: _DiscriminatorInput, true_map: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the generator's adversarial terms, and the discriminator's loss on the same faces.

        Both are computed before the discriminator is updated, so that gradient accumulation does not change them.
        """
        if self.discriminator is None:
            return {}, {}
        discriminator = cast("Callable[[_DiscriminatorInput, Tensor], list[DiscriminatorOutput]]", self.discriminator)
        on_real, on_fake = discriminator(real, true_map), discriminator(_detached(fake), true_map)
        pairs = list(zip(on_real, on_fake, strict=True))
        loss = torch.stack([hinge_discriminator_loss(r.score.float(), f.score.float()) for r, f in pairs]).mean()

        self.discriminator.requires_grad_(False)  # the generator's loss must not change the discriminator
        on_fake = discriminator(fake, true_map)
        self.discriminator.requires_grad_(True)
        adversarial = torch.stack([hinge_generator_loss(f.score.float()) for f in on_fake]).mean()
        pairs = list(zip(on_fake, on_real, strict=True))
        matching = torch.stack([feature_matching_loss(f.features, r.features) for f, r in pairs]).mean()
        terms = {
            "adversarial": self._weights.adversarial * adversarial,
            "feature_matching": self._weights.feature_matching * matching,
        }
        return terms, {"discriminator": loss}

    @torch.no_grad()
    def validate(self, network: N) -> dict[str, float]:
        metrics: dict[str, list[Tensor]] = {}
        for lq, hq, labels in zip(*self._validation, strict=True):
            real = hq[None].to(self.device)
            restored = self._restore(network, lq, labels)
            for name, value in {"psnr_db": psnr(restored, real), **self._feature_distance(restored, real)}.items():
                metrics.setdefault(name, []).append(value)
        return {name: float(torch.stack(values).mean()) for name, values in metrics.items()}

    def _feature_distance(self, restored: Tensor, real: Tensor) -> dict[str, Tensor]:
        """Return LPIPS if its heads are loaded, otherwise the perceptual loss.

        Returns an empty dict if there is no feature network.
        """
        features, lpips = self._loss_networks.features, self._loss_networks.lpips
        if features is None:
            return {}
        restored_features, real_features = features(restored), features(real)
        if lpips is not None:
            return {"lpips": lpips.compare(restored_features, real_features)}
        layers = self._weights.feature_layers
        return {"perceptual": perceptual_loss(_select(layers, restored_features), _select(layers, real_features))}

    @torch.no_grad()
    def preview(self, network: N) -> Tensor:
        """Return an image with the degraded, restored and clean version of each face in one row."""
        rows: list[Tensor] = []
        for lq, hq, labels in zip(*(part[:MAX_PREVIEW_FACES] for part in self._validation), strict=True):
            restored = self._restore(network, lq, labels)[0].float().cpu()
            rows.append(side_by_side([lq, restored, hq]))
        return torch.cat(rows, dim=1)

    def _restore(self, network: nn.Module, lq: Tensor, labels: Tensor) -> Tensor:
        """Return the restored face (1, 3, S, S) of ``lq`` (3, S, S), both in [0, 1]."""
        image = _to_network_input(lq[None].to(self.device))
        restored = network(image, self._input_map(image, one_hot(labels[None].to(self.device))))
        return (restored.clamp(-1, 1) + 1) / 2


def _select(layers: Sequence[str], features: Mapping[str, Tensor]) -> list[Tensor]:
    return [features[layer] for layer in layers]


def _detached(value: _DiscriminatorInput) -> _DiscriminatorInput:
    return value.detach() if isinstance(value, Tensor) else {name: part.detach() for name, part in value.items()}


def one_hot(labels: Tensor) -> Tensor:
    """Convert labels (B, H, W), int64, to a float one-hot map (B, 19, H, W)."""
    return F.one_hot(labels, PARSE_CLASSES).permute(0, 3, 1, 2).float()


def _to_network_input(image: Tensor) -> Tensor:
    return (image * 2 - 1).contiguous(memory_format=torch.channels_last)
