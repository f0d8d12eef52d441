"""Hold the result of an evaluation, and summarize it as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..metrics.metric import Metric
from .stage import Row, Stage
from .tables import format_value, infinite_of, markdown_table, means_of, missing_of


@dataclass(frozen=True)
class EvaluationResult:
    """Metrics of each image by its name (``rows``), and Fréchet distances of the whole set (``distances``).

    ``Stage.column`` names the column of a metric or distance. ``stages`` are in the order of the tables, with the final
    stage last. ``set_distances`` are the names of the Fréchet distances.
    """

    rows: Mapping[str, Row]
    stages: Sequence[Stage]
    metrics: Sequence[Metric]
    set_distances: Sequence[str]
    distances: Row

    @property
    def table(self) -> list[list[str]]:
        """The summary as text: a header with the names of the metrics, and one row per stage."""
        means = means_of(self.rows) | self.distances
        names = [*(metric.name for metric in self.metrics), *self.set_distances]
        lines = [[stage.value, *(format_value(means[stage.column(name)]) for name in names)] for stage in self.stages]
        return [[f"mean of {len(self.rows)}", *names], *lines]

    @property
    def notes(self) -> list[str]:
        """Remarks on missing and infinite values, metrics and the number of images."""
        count, means = len(self.rows), means_of(self.rows)
        missing = [
            f"{column}: missing for {number} of {count} images; the mean is over the others"
            for column, number in missing_of(self.rows).items()
        ]
        infinite = [
            f"{column}: infinite for {number} of {count} images"
            + ("; the mean is over the others" if math.isfinite(means[column]) else "")
            for column, number in infinite_of(self.rows).items()
        ]
        remarks = [f"{metric.name}: {metric.note}" for metric in self.metrics if metric.note]
        bias = "small sets raise the distance, so compare only sets of this size"
        sets = [f"{name}: {count} images against {count} references; {bias}" for name in self.set_distances]
        return [*missing, *infinite, *remarks, *sets]

    @property
    def markdown(self) -> str:
        """Table and notes in Markdown."""
        return markdown_table(*self.table) + "".join(f"\n{note}.\n" for note in self.notes)

    def ranked(self, metric: Metric) -> list[str]:
        """Return the names of the images sorted by ``metric`` at the last stage, worst first. NaN counts as worst."""
        column = self.stages[-1].column(metric.name)
        sign = 1 if metric.higher_is_better else -1

        def goodness(name: str) -> float:
            value = self.rows[name][column]
            return -math.inf if math.isnan(value) else sign * value

        return sorted(self.rows, key=goodness)
