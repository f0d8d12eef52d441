"""Losses of the generator and the discriminator (paper, section 3.3), each with its formula."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ...networks.inference.autocast import without_autocast

# One weight for each tapped feature layer, finest first; of fewer layers the coarse ones.
PERCEPTUAL_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


def hinge_discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    # E[max(0, 1 - D(real))] + E[max(0, 1 + D(fake))]
    return F.relu(1 - real_scores).mean() + F.relu(1 + fake_scores).mean()


def hinge_generator_loss(fake_scores: Tensor) -> Tensor:
    # -E[D(fake)]
    return -fake_scores.mean()


def feature_matching_loss(fake_features: Sequence[Tensor], real_features: Sequence[Tensor]) -> Tensor:
    # sum over layers of E[(f(fake) - f(real))^2]
    return _total(F.mse_loss(fake, real.detach()) for fake, real in zip(fake_features, real_features, strict=True))


def psnr_loss(fake: Tensor, real: Tensor) -> Tensor:
    """The negative PSNR in dB of images (B, 3, H, W) in [-1, 1]: hardly degraded faces count as much as the worst."""
    # E over the batch of 10 log10(E[(fake - real)^2] / 2^2)
    return 10 * torch.log10((fake - real).square().mean(dim=(1, 2, 3)) / 4 + 1e-8).mean()


def perceptual_loss(fake_features: Sequence[Tensor], real_features: Sequence[Tensor]) -> Tensor:
    # sum over layers of w * E[(f(fake) - f(real))^2]
    weights = PERCEPTUAL_WEIGHTS[-len(fake_features) :]
    return _total(
        weight * F.mse_loss(fake, real.detach())
        for weight, fake, real in zip(weights, fake_features, real_features, strict=True)
    )


def region_style_loss(fake_features: Sequence[Tensor], real_features: Sequence[Tensor], one_hot: Tensor) -> Tensor:
    """The semantic-aware style loss: how far the Gram matrices of each of the 19 regions are apart.

    Features are (B, C, h, w) of any sizes, ``one_hot`` (B, 19, H, W) is the parse map of the clean face.
    """
    # sum over layers of E[(G_r(fake) - G_r(real))^2] over batch, regions r and entries of G
    return _total(
        _style_distance(fake.flatten(2), real.detach().flatten(2), _masks(one_hot, fake))
        for fake, real in zip(fake_features, real_features, strict=True)
    )


def _style_distance(fake: Tensor, real: Tensor, masks: Tensor) -> Tensor:
    """For features (B, C, P) of P places and ``masks`` (B, R, P)."""
    if fake.dtype == torch.float16:  # whose range is too small for sums over a picture
        with without_autocast(fake.device):
            return _style_distance(fake.float(), real.float(), masks)
    if fake.device.type != "cpu":
        return F.mse_loss(region_grams(fake, masks), region_grams(real, masks))
    # On a CPU one region after the other: together their matrices do not stay in its cache. Absent ones have nothing to compare.
    present = masks.any(dim=2).any(dim=0).tolist()
    distances = [
        F.mse_loss(region_grams(fake, mask), region_grams(real, mask))
        for mask, is_present in zip(masks.split(1, dim=1), present, strict=True)
        if is_present
    ]
    return sum(distances, fake.new_zeros((), dtype=torch.float32)) / len(present)


def _masks(one_hot: Tensor, features: Tensor) -> Tensor:
    return F.interpolate(one_hot, features.shape[-2:], mode="nearest").flatten(2)


def region_grams(features: Tensor, masks: Tensor) -> Tensor:
    """Gram matrices (B, R, C, C) of features (B, C, P) where ``masks`` (B, R, P) are 1, over channels times the region's area."""
    channels = features.shape[1]
    shares = masks / (channels * masks.sum(dim=2, keepdim=True) + 1e-8)
    inside = features[:, None] * shares.to(features.dtype)[:, :, None]
    return (inside.flatten(1, 2) @ features.transpose(1, 2)).unflatten(1, (-1, channels))


def _total(terms: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()
