"""The Fréchet distance of two sets of pictures: how far the distributions of their features lie apart."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from ...checks import check_shape
from ...errors import InputError
from ...networks.inference.autocast import without_autocast
from .image_features import ImageFeatures


class PooledFeatures(Protocol):
    """One vector of features for each picture, under the name that the distance gets."""

    @property
    def name(self) -> str: ...

    def __call__(self, images: Tensor) -> Tensor:
        """The features (B, C) of images (B, 3, H, W), RGB in [0, 1]."""
        ...


class ImageNetFeatures:
    """The mean over the picture of the activations at the last tap of a network trained on ImageNet.

    The distance is named after network and layer, such as ``frechet_alexnet_relu5``: it is not FID, whose features are
    those of Inception, and the two cannot be compared.
    """

    def __init__(self, features: ImageFeatures) -> None:
        self._features = features
        self.name = f"frechet_{features.backbone.value}_{features.taps[-1]}"

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        with without_autocast(images.device):
            return self._features(images)[self._features.taps[-1]].mean(dim=(2, 3))


class FeatureStatistics:
    """Mean and covariance of the features of a set of pictures, in float64, added up batch by batch."""

    def __init__(self, channels: int) -> None:
        self.count = 0
        self._sum = torch.zeros(channels, dtype=torch.float64)
        self._products = torch.zeros(channels, channels, dtype=torch.float64)

    def add(self, features: Tensor) -> None:
        """Count the features (B, C) of some more pictures."""
        check_shape(features, f"B {len(self._sum)}", "features")
        features = features.cpu().double()  # not every accelerator knows float64
        self.count += len(features)
        self._sum += features.sum(0)
        self._products += features.T @ features

    @property
    def mean(self) -> Tensor:
        """The mean (C,)."""
        return self._sum / self.count

    @property
    def covariance(self) -> Tensor:
        """The unbiased covariance (C, C); InputError for fewer than two pictures, which have none."""
        if self.count < 2:
            raise InputError(f"A Fréchet distance needs at least two pictures on each side, got {self.count}.")
        mean = self.mean
        return (self._products - self.count * torch.outer(mean, mean)) / (self.count - 1)


def frechet_distance(one: FeatureStatistics, other: FeatureStatistics) -> float:
    """The squared Fréchet distance of two Gaussians with these statistics (0 for equal ones, lower is better).

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). It is biased upwards for few pictures, most below as many as there are
    channels: state their number beside it, and compare only distances of equally many.
    Source: Heusel et al., GANs Trained by a Two Time-Scale Update Rule (2017), equation 6.
    """
    covariance, other_covariance = one.covariance, other.covariance
    # (C1 C2)^(1/2) has the trace of (R C2 R)^(1/2), R the root of C1, which is symmetric: so no complex numbers arise.
    root = _root(covariance)
    roots = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp(min=0).sqrt()
    distance = (one.mean - other.mean).square().sum() + covariance.trace() + other_covariance.trace() - 2 * roots.sum()
    return max(float(distance), 0.0)  # rounding may bring equal sets below 0


def _root(matrix: Tensor) -> Tensor:
    """The square root of a symmetric matrix without negative eigenvalues but for rounding."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T
