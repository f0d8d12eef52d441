"""Compute the losses of the generator and the discriminator (paper, section 3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ...networks.inference.autocast import without_autocast

# Weights of the feature layers, finest first. If there are fewer layers, the last weights are used.
PERCEPTUAL_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


def hinge_discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Return the hinge loss of a discriminator for its scores of real and fake images."""
    # E[max(0, 1 - D(real))] + E[max(0, 1 + D(fake))]
    return F.relu(1 - real_scores).mean() + F.relu(1 + fake_scores).mean()


def hinge_generator_loss(fake_scores: Tensor) -> Tensor:
    """Return the hinge loss of a generator for the discriminator's scores of fake images."""
    # -E[D(fake)]
    return -fake_scores.mean()


def feature_matching_loss(fake_features: Sequence[Tensor], real_features: Sequence[Tensor]) -> Tensor:
    """Return the mean squared difference of discriminator features, summed over layers. Real features get no gradient."""
    # sum over layers of E[(f(fake) - f(real))^2]
    return _total(F.mse_loss(fake, real.detach()) for fake, real in zip(fake_features, real_features, strict=True))


def psnr_loss(fake: Tensor, real: Tensor) -> Tensor:
    """Return the negative PSNR in dB of images (B, 3, H, W) in [-1, 1], averaged over the batch.

    The PSNR of each image is limited to 40 dB. Without the limit, nearly perfect images would dominate the gradient.
    """
    # E over the batch of 10 log10(max(E[(fake - real)^2] / 2^2, 1e-4))
    error = (fake - real).square().mean(dim=(1, 2, 3)) / 4
    return 10 * error.clamp(min=1e-4).log10().mean()


def perceptual_loss(fake_features: Sequence[Tensor], real_features: Sequence[Tensor]) -> Tensor:
    """Return the weighted mean squared difference of ImageNet features, summed over layers.

    The features are those of at most five layers, finest first. Real features get no gradient.
    """
    # sum over layers of w * E[(f(fake) - f(real))^2]
    weights = PERCEPTUAL_WEIGHTS[-len(fake_features) :]
    return _total(
        weight * F.mse_loss(fake, real.detach())
        for weight, fake, real in zip(weights, fake_features, real_features, strict=True)
    )


def region_style_loss(fake_features: Sequence[Tensor], real_features: Sequence[Tensor], one_hot: Tensor) -> Tensor:
    """Return the semantic-aware style loss: the mean squared difference of the Gram matrices of the regions.

    The loss is summed over layers, whose features are (B, C, h, w) with any h and w. ``one_hot`` (B, R, H, W) is the parse map
    of the clean face with R = 19, or a single region of ones.
    """
    # sum over layers of E[(G_r(fake) - G_r(real))^2] over batch, regions r and entries of G
    return _total(
        _style_distance(fake.flatten(2), real.detach().flatten(2), _masks(one_hot, fake))
        for fake, real in zip(fake_features, real_features, strict=True)
    )


def _style_distance(fake: Tensor, real: Tensor, masks: Tensor) -> Tensor:
    """Return the style loss of one layer. Features are (B, C, P) at P positions, and ``masks`` are (B, R, P)."""
    if fake.dtype == torch.float16:  # sums over an image overflow float16
        with without_autocast(fake.device):
            return _style_distance(fake.float(), real.float(), masks)
    entries = masks.shape[1] * fake.shape[1] ** 2 * len(fake)  # number of entries of all Gram matrices
    # Regions without pixels contribute 0. They are omitted only on a CPU, because finding them on a GPU would wait for the GPU.
    if masks.device.type == "cpu":
        masks = masks[:, masks.any(dim=2).any(dim=0)]
    return F.mse_loss(region_grams(fake, masks), region_grams(real, masks), reduction="sum") / entries


def _masks(one_hot: Tensor, features: Tensor) -> Tensor:
    return F.interpolate(one_hot, features.shape[-2:], mode="nearest").flatten(2)


def region_grams(features: Tensor, masks: Tensor) -> Tensor:
    """Return the Gram matrices (B, R, C, C) of features (B, C, P) inside ``masks`` (B, R, P).

    Each matrix is divided by C times the area of its mask.
    """
    weights = masks / (features.shape[1] * masks.sum(dim=2, keepdim=True) + 1e-8)
    return cast("Tensor", _RegionGrams.apply(features, weights.to(features.dtype)))


class _RegionGrams(torch.autograd.Function):
    """Differentiable function that computes the Gram matrices one region at a time.

    It keeps no masked copies of the features for the gradient. Autograd would keep one copy for each region.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(features, weights)
        transposed = features.transpose(1, 2)
        grams = features.new_zeros(*weights.shape[:2], features.shape[1], features.shape[1])
        with without_autocast(features.device):
            for region, weight in enumerate(weights.unbind(dim=1)):
                grams[:, region] = (features * weight[:, None]) @ transposed
        return grams

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        features, weights = ctx.saved_tensors
        symmetric = gradients[0] + gradients[0].transpose(2, 3)
        total = torch.zeros_like(features)
        with without_autocast(features.device):
            for region, weight in enumerate(weights.unbind(dim=1)):
                total += (symmetric[:, region] @ features) * weight[:, None]
        return total, None


def _total(terms: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()
