"""Compute NIQE, a no-reference quality metric."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...checks import check_float, check_shape
from ...networks.inference.autocast import without_autocast
from ...optional_package import import_optional
from .metric import Metric


class Niqe:
    """NIQE as computed by pyiqa; lower is better.

    Source: Mittal et al., Making a Completely Blind Image Quality Analyzer (2013).
    """

    def __init__(self, metric: Any) -> None:
        self._metric = metric

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return the scores (B,) of images (B, 3, H, W), RGB in [0, 1]. Raise InputError for other shapes or dtypes."""
        check_shape(images, "B 3 H W", "images")
        check_float(images, "images")
        with without_autocast(images.device):
            return self._metric(images).reshape(len(images))

    @property
    def metric(self) -> Metric:
        """NIQE as a per-image metric, which ignores the reference."""
        return Metric("niqe", higher_is_better=False, against=lambda _: lambda image: float(self(image)))


def load_niqe(device: torch.device) -> Niqe:
    """Load NIQE onto ``device``. pyiqa downloads the parameters on first use.

    Raises MissingPackageError if pyiqa is not installed.
    """
    return Niqe(import_optional("pyiqa", "NIQE", "pyiqa").create_metric("niqe", device=device))
