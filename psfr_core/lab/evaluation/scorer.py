"""Figures of samples, one sample after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...faces.face import FaceDetector
from ..metrics.frechet import FeatureStatistics, PooledFeatures, frechet_distance
from ..metrics.identity import IdentityNetwork
from ..metrics.lpips import Lpips
from ..metrics.ms_ssim import import_ms_ssim, ms_ssim
from ..metrics.niqe import Niqe
from ..metrics.psnr import psnr
from ..metrics.ssim import ssim
from .face_matching import face_distance
from .metric import Metric, Row, Stage
from .result import EvaluationResult
from .sources import Sample

Measure = Callable[[Tensor], float]


@dataclass(frozen=True, eq=False)
class MetricModels:
    """What is measured beside PSNR and SSIM, and with what, all on ``device``; None and empty leave a figure out."""

    device: torch.device
    ms_ssim: bool = False
    lpips: Lpips | None = None
    identity: IdentityNetwork | None = None
    detector: FaceDetector | None = None
    niqe: Niqe | None = None
    pooled: Sequence[PooledFeatures] = ()

    def __post_init__(self) -> None:
        if self.ms_ssim:
            import_ms_ssim()  # now, and not only when a picture is measured

    @property
    def metrics(self) -> list[Metric]:
        """The figures of each picture, in the order of the tables."""
        wanted = {
            Metric.PSNR: True,
            Metric.SSIM: True,
            Metric.MS_SSIM: self.ms_ssim,
            Metric.LPIPS: self.lpips is not None,
            Metric.IDENTITY: self.identity is not None,
            Metric.LANDMARKS: self.detector is not None,
            Metric.NIQE: self.niqe is not None,
        }
        return [metric for metric, is_wanted in wanted.items() if is_wanted]

    @property
    def remarks(self) -> list[str]:
        """What has to be known to read the figures."""
        if self.identity is None:
            return []
        return [f"{Metric.IDENTITY.value}: {self.identity.description}"]

    def measures(self, reference: Tensor) -> dict[Metric, Measure]:
        """What gives each of ``metrics`` for a picture (1, 3, H, W); what only the ``reference`` needs is done once."""
        measures: dict[Metric, Measure] = {
            Metric.PSNR: lambda picture: float(psnr(picture, reference)),
            Metric.SSIM: lambda picture: float(ssim(picture, reference)),
        }
        if self.ms_ssim:
            measures[Metric.MS_SSIM] = lambda picture: float(ms_ssim(picture, reference))
        if (lpips := self.lpips) is not None:
            measures[Metric.LPIPS] = lambda picture: float(lpips(picture, reference))
        if (identity := self.identity) is not None:
            person = identity.embed(reference)
            measures[Metric.IDENTITY] = lambda picture: float(identity.distance(identity.embed(picture), person))
        if (detector := self.detector) is not None:
            faces = detector.detect(reference)[0]
            measures[Metric.LANDMARKS] = lambda picture: face_distance(detector.detect(picture)[0], faces)
        if (niqe := self.niqe) is not None:
            measures[Metric.NIQE] = lambda picture: float(niqe(picture))
        return measures


class Scorer:
    """Measures sample by sample, and keeps of each only its figures and what the distances of whole sets need."""

    def __init__(self, models: MetricModels, stages: Sequence[Stage]) -> None:
        self._models, self._stages = models, tuple(stages)
        self._rows: dict[str, Row] = {}
        self._references: dict[str, FeatureStatistics] = {}
        self._pictures: dict[str, FeatureStatistics] = {}

    @torch.no_grad()
    def add(self, name: str, sample: Sample) -> None:
        """Measure one sample, whose row in the tables is ``name``."""
        reference = sample.reference.to(self._models.device)
        pictures = {stage: picture.to(self._models.device) for stage, picture in sample.pictures.items()}
        measures = self._models.measures(reference)
        self._rows[name] = {
            stage.column(metric.value): measure(picture)
            for stage, picture in pictures.items()
            for metric, measure in measures.items()
        }
        for pooled in self._models.pooled:
            _count(self._references, pooled.name, pooled(reference))
            for stage, picture in pictures.items():
                _count(self._pictures, stage.column(pooled.name), pooled(picture))

    def result(self) -> EvaluationResult:
        """The figures of all samples so far; a single one has no distance of sets."""
        names = [pooled.name for pooled in self._models.pooled]
        distances = {stage.column(name): self._distance(name, stage) for name in names for stage in self._stages}
        models = self._models
        return EvaluationResult(self._rows, self._stages, models.metrics, names, distances, models.remarks)

    def _distance(self, name: str, stage: Stage) -> float:
        if len(self._rows) < 2:
            return float("nan")
        return frechet_distance(self._pictures[stage.column(name)], self._references[name])


def _count(statistics: dict[str, FeatureStatistics], name: str, features: Tensor) -> None:
    statistics.setdefault(name, FeatureStatistics(features.shape[1])).add(features)
