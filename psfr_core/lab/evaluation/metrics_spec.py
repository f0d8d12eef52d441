"""Specify and load the metrics of an evaluation. The fields of ``MetricsSpec`` are also flags of ``psfr evaluate``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ...errors import OptionError
from ...faces.detector import BUNDLED_DETECTOR, load_detector
from ...options import option
from ..metrics.fid import load_inception
from ..metrics.frechet import ImageNetFeatures, PooledFeatures
from ..metrics.identity import identity_metric, load_identity
from ..metrics.landmark_distance import landmark_metric
from ..metrics.lpips import load_lpips, lpips_metric
from ..metrics.metric import Metric
from ..metrics.ms_ssim import load_ms_ssim
from ..metrics.niqe import load_niqe
from ..metrics.psnr import PSNR
from ..metrics.ssim import SSIM
from .scorer import MetricSet


@dataclass(frozen=True, kw_only=True)
class MetricsSpec:
    """Metrics in addition to PSNR and SSIM, which are always measured.

    Raises OptionError if a field needs another field that is not set, or if ``rank_by`` names a metric that is not measured.
    """

    ms_ssim: bool = option(False, "measure MS-SSIM; needs images of at least 176 px, and torchmetrics")
    features: Path | None = option(
        None,
        "network for LPIPS and a Fréchet distance: a weight file of AlexNet or VGG-16, or the name alexnet or vgg16, whose weights "
        "are downloaded",
    )
    heads: Path | None = option(None, "file of the LPIPS v0.1 heads for the network in features")
    fid: Path | None = option(None, "file of Inception weights, for FID; needs torchmetrics and torch-fidelity")
    identity: str | None = option(
        None,
        "network for the identity distance of aligned faces: dlib (needs dlib-bin and face_recognition_models), "
        "faceres.json of HSE-FaceRes, or a weight file of ArcFace (needs facexlib)",
    )
    landmarks: bool = option(
        False,
        "measure the mean distance between the five landmarks of image and reference, in units of the eye distance",
    )
    detector: str | None = option(None, f"detector for the landmarks; default: {BUNDLED_DETECTOR} (bundled)")
    niqe: bool = option(False, "measure NIQE, a no-reference metric; needs pyiqa, which downloads its parameters")
    rank_by: str | None = option(
        None, "metric that ranks the faces in the report, such as ssim; default: lpips if measured, else psnr"
    )

    def __post_init__(self) -> None:
        if (self.features is None) != (self.heads is None):
            raise OptionError("LPIPS needs both features and heads; one of them is missing.")
        if self.detector and not self.landmarks:
            raise OptionError("The detector is only used to measure landmarks; give landmarks as well.")
        if self.ranking_metric not in self.measured:
            raise OptionError(
                f"The report cannot be ranked by {self.rank_by}, which is not measured. "
                f"Measured are {', '.join(self.measured)}."
            )

    @property
    def measured(self) -> list[str]:
        """Names of the measured per-image metrics."""
        names = {
            "ms_ssim": self.ms_ssim,
            "lpips": self.features is not None,
            "identity_distance": bool(self.identity),
            "landmark_distance": self.landmarks,
            "niqe": self.niqe,
        }
        return [PSNR.name, SSIM.name, *(name for name, wanted in names.items() if wanted)]

    @property
    def ranking_metric(self) -> str:
        """Name of the metric that ranks the faces in the report."""
        return self.rank_by or ("lpips" if "lpips" in self.measured else PSNR.name)


def load_metrics(spec: MetricsSpec, device: torch.device) -> MetricSet:
    """Load the metrics of ``spec`` with their networks on ``device``. Raise the errors of the loaders."""
    metrics: list[Metric] = [PSNR, SSIM]
    pooled: list[PooledFeatures] = []
    if spec.ms_ssim:
        metrics.append(load_ms_ssim())
    if spec.features is not None and spec.heads is not None:
        lpips = load_lpips(spec.features, spec.heads).to(device)
        metrics.append(lpips_metric(lpips))
        pooled.append(ImageNetFeatures(lpips.features))
    if spec.identity:
        metrics.append(identity_metric(load_identity(spec.identity, device)))
    if spec.landmarks:
        metrics.append(landmark_metric(load_detector(spec.detector or BUNDLED_DETECTOR, device=device)))
    if spec.niqe:
        metrics.append(load_niqe(device).metric)
    if spec.fid:
        pooled.append(load_inception(spec.fid, device))
    return MetricSet(device, metrics, pooled)
