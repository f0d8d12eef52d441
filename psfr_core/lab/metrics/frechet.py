"""Compute the Fréchet distance between the feature distributions of two image sets."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from ...checks import check_shape
from ...errors import InputError
from ...networks.inference.autocast import without_autocast
from .image_features import ImageFeatures


class PooledFeatures(Protocol):
    """Network that computes one feature vector per image. ``name`` is the name of the Fréchet distance of these features."""

    @property
    def name(self) -> str: ...

    def __call__(self, images: Tensor) -> Tensor:
        """Return the features (B, C) of images (B, 3, H, W), RGB in [0, 1]."""
        ...


class ImageNetFeatures:
    """Features that are the spatial means of the activations at the last tap of a network trained on ImageNet.

    Their Fréchet distance is named after the network and layer, such as ``frechet_alexnet_relu5``. It is not comparable with
    FID, which uses the features of Inception.
    """

    def __init__(self, features: ImageFeatures) -> None:
        self._features = features
        self.name = f"frechet_{features.backbone.value}_{features.taps[-1]}"

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return the features (B, C) of images (B, 3, H, W), RGB in [0, 1]. Raise the errors of ``ImageFeatures``."""
        with without_autocast(images.device):
            return self._features(images)[self._features.taps[-1]].mean(dim=(2, 3))


class FeatureStatistics:
    """Mean and covariance of the features of an image set, accumulated in float64 on the CPU."""

    def __init__(self, channels: int) -> None:
        self.count = 0
        self._sum = torch.zeros(channels, dtype=torch.float64)
        self._products = torch.zeros(channels, channels, dtype=torch.float64)

    def add(self, features: Tensor) -> None:
        """Add the features (B, C) of further images. Raise InputError for another number of channels."""
        check_shape(features, f"B {len(self._sum)}", "features")
        features = features.cpu().double()  # not all accelerators support float64
        self.count += len(features)
        self._sum += features.sum(0)
        self._products += features.T @ features

    @property
    def mean(self) -> Tensor:
        """The mean (C,); NaN if there are no images."""
        return self._sum / self.count

    @property
    def covariance(self) -> Tensor:
        """The unbiased covariance (C, C). Raises InputError for fewer than two images."""
        if self.count < 2:
            raise InputError(f"A Fréchet distance needs at least two images on each side, got {self.count}.")
        mean = self.mean
        return (self._products - self.count * torch.outer(mean, mean)) / (self.count - 1)


def frechet_distance(one: FeatureStatistics, other: FeatureStatistics) -> float:
    """Return the squared Fréchet distance of two Gaussians with these statistics; lower is better, 0 if they are equal.

    The distance is |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). It is overestimated for small sets, especially with fewer
    images than channels. Report the number of images, and compare only distances of sets of the same size.
    Raises InputError if either set has fewer than two images.
    Source: Heusel et al., GANs Trained by a Two Time-Scale Update Rule (2017), equation 6.
    """
    covariance, other_covariance = one.covariance, other.covariance
    # If R is the root of C1, (C1 C2)^(1/2) and (R C2 R)^(1/2) have the same trace, and R C2 R is symmetric with real eigenvalues.
    root = _root(covariance)
    roots = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp(min=0).sqrt()
    distance = (one.mean - other.mean).square().sum() + covariance.trace() + other_covariance.trace() - 2 * roots.sum()
    return max(float(distance), 0.0)  # rounding can make it negative for equal sets


def _root(matrix: Tensor) -> Tensor:
    """Return the square root of a symmetric matrix that is positive semidefinite up to rounding."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T
