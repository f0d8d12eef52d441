"""Load the networks of the metrics in a specification."""

from __future__ import annotations

import torch

from ...errors import OptionError
from ...faces.detector import load_detector
from ..metrics.fid import load_inception
from ..metrics.frechet import ImageNetFeatures, PooledFeatures
from ..metrics.identity import load_identity
from ..metrics.lpips import load_lpips
from ..metrics.niqe import load_niqe
from .metric import Metric
from .scorer import MetricModels
from .spec import MetricsSpec


def load_metrics(spec: MetricsSpec, device: torch.device) -> MetricModels:
    """Load the networks that the metrics of ``spec`` need, on ``device``; raise the errors of their loaders."""
    lpips = None if spec.features is None or spec.heads is None else load_lpips(spec.features, spec.heads).to(device)
    pooled: list[PooledFeatures] = [] if lpips is None else [ImageNetFeatures(lpips.features)]
    if spec.fid:
        pooled.append(load_inception(spec.fid, device))
    return MetricModels(
        device,
        ms_ssim=spec.ms_ssim,
        lpips=lpips,
        identity=load_identity(spec.identity, device) if spec.identity else None,
        detector=load_detector(spec.landmark_detector, device=device) if spec.landmarks else None,
        niqe=load_niqe(device) if spec.niqe else None,
        pooled=pooled,
    )


def ranking_metric(spec: MetricsSpec, models: MetricModels) -> Metric:
    """Return the metric that orders the faces of the report; raise OptionError if it is not measured."""
    if spec.rank_by is None:
        return Metric.PSNR if models.lpips is None else Metric.LPIPS
    if spec.rank_by not in models.metrics:
        measured = ", ".join(metric.value for metric in models.metrics)
        raise OptionError(
            f"The report cannot be ranked by {spec.rank_by.value}, which is not measured. Measured are {measured}."
        )
    return spec.rank_by
