"""Measure the samples of an evaluation one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..metrics.frechet import FeatureStatistics, PooledFeatures, frechet_distance
from ..metrics.metric import Metric
from .result import EvaluationResult
from .sources import Sample
from .stage import Row, Stage


@dataclass(frozen=True, eq=False)
class MetricSet:
    """Per-image metrics, and features for the Fréchet distances of image sets; all networks are on ``device``."""

    device: torch.device
    metrics: Sequence[Metric]
    pooled: Sequence[PooledFeatures] = ()


class Scorer:
    """Accumulator that measures samples one at a time, and keeps only their metrics and the statistics for Fréchet distances."""

    def __init__(self, metrics: MetricSet, stages: Sequence[Stage]) -> None:
        self._metrics, self._stages = metrics, tuple(stages)
        self._rows: dict[str, Row] = {}
        self._references: dict[str, FeatureStatistics] = {}
        self._images: dict[str, FeatureStatistics] = {}

    @torch.no_grad()
    def add(self, name: str, sample: Sample) -> None:
        """Measure one sample and store its metrics in the row ``name``."""
        reference = sample.reference.to(self._metrics.device)
        images = {stage: image.to(self._metrics.device) for stage, image in sample.images.items()}
        measures = {metric.name: metric.against(reference) for metric in self._metrics.metrics}
        self._rows[name] = {
            stage.column(name): measure(image) for stage, image in images.items() for name, measure in measures.items()
        }
        for pooled in self._metrics.pooled:
            _add_features(self._references, pooled.name, pooled(reference))
            for stage, image in images.items():
                _add_features(self._images, stage.column(pooled.name), pooled(image))

    def result(self) -> EvaluationResult:
        """Return the metrics of all samples so far. Fréchet distances are NaN for fewer than two samples."""
        names = [pooled.name for pooled in self._metrics.pooled]
        distances = {stage.column(name): self._distance(name, stage) for name in names for stage in self._stages}
        return EvaluationResult(self._rows, self._stages, self._metrics.metrics, names, distances)

    def _distance(self, name: str, stage: Stage) -> float:
        if len(self._rows) < 2:
            return float("nan")
        return frechet_distance(self._images[stage.column(name)], self._references[name])


def _add_features(statistics: dict[str, FeatureStatistics], name: str, features: Tensor) -> None:
    statistics.setdefault(name, FeatureStatistics(features.shape[1])).add(features)
