"""Write the report of an evaluation: its tables, and a page with the worst, median and best faces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from ...files import write_text
from ...images.io import ImageFile, write_image
from ...images.resize import resize_within
from ..metrics.metric import Metric
from .page import CaseGroup, ShownFace, ShownImage, page
from .result import EvaluationResult
from .sources import Sample
from .stage import Stage
from .tables import finite, table_files, write_tables

MAX_FACES_PER_GROUP = 8
REPORT_FOLDER = "report"
_PAGE = "report.html"
_MAX_SIDE = 512  # maximum side of an image on the page, in pixels
_JPEG_QUALITY = 90


def write_report(
    folder: Path,
    result: EvaluationResult,
    load: Callable[[str], Sample],
    *,
    rank_by: Metric,
    settings: Mapping[str, str],
) -> None:
    """Write the tables and the page into ``folder``, which is created if necessary.

    ``load`` returns the sample with the given name. ``rank_by`` ranks the faces. ``settings`` are the fields of the
    specification by name. The page ``report.html`` needs only the JPEG files in the folder ``report`` beside it.
    """
    summary = {"distances": finite(result.distances), "rank_by": rank_by.name, "settings": dict(settings)}
    write_tables(folder, result.rows, summary, result.markdown)
    (folder / REPORT_FOLDER).mkdir(exist_ok=True)
    faces: dict[CaseGroup, list[ShownFace]] = {}
    number = 0
    for group, names in chosen_cases(result.ranked(rank_by)).items():
        faces[group] = []
        for name in names:
            number += 1  # files are numbered, because a name in the table may be an invalid file name
            faces[group].append(_face(folder, f"{number:02}", name, load(name), result))
    content = page(result, faces, rank_by, settings)
    write_text(folder / _PAGE, content)


def report_files(folder: Path) -> list[Path]:
    """Return the tables and the page that ``write_report`` writes into ``folder``, and the existing images of the page."""
    images = (folder / REPORT_FOLDER).glob("[0-9][0-9]_*.jpg")
    return [*table_files(folder), folder / _PAGE, *images]


def chosen_cases(ranked: Sequence[str]) -> dict[CaseGroup, list[str]]:
    """Return the worst, median and best names without repetition; ``ranked`` begins with the worst.

    Each group has at most 8 names, and at most a third of all names if there are three or more.
    """
    count = len(ranked)
    each = min(MAX_FACES_PER_GROUP, max(count // 3, 1))
    worst, best = list(ranked[:each]), list(ranked[max(count - each, each) :])
    start = (count - each) // 2
    median = [name for name in ranked[start : start + each] if name not in {*worst, *best}]
    return {CaseGroup.WORST: worst, CaseGroup.MEDIAN: median, CaseGroup.BEST: best}


def _face(folder: Path, number: str, name: str, sample: Sample, result: EvaluationResult) -> ShownFace:
    """Write the reference of one face, and its images at all stages except ``GENERATOR``. Return them with their metrics."""
    images: list[ShownImage] = []
    for stage in result.stages:
        if stage is Stage.GENERATOR:
            continue  # the image differs from that of the next stage only in its colors
        file = _write(folder, f"{number}_{stage.value}.jpg", sample.images[stage])
        images.append(ShownImage(stage.value, file, _metric_values(result, name, stage)))
    reference = _write(folder, f"{number}_reference.jpg", sample.reference)
    return ShownFace(name, [*images, ShownImage("reference", reference, {})])


def _metric_values(result: EvaluationResult, name: str, stage: Stage) -> dict[str, float]:
    return {metric.name: result.rows[name][stage.column(metric.name)] for metric in result.metrics}


def _write(folder: Path, name: str, image: Tensor) -> str:
    """Write an image (1, 3, H, W), and return its path relative to the page."""
    file = f"{REPORT_FOLDER}/{name}"
    write_image(folder / file, ImageFile(resize_within(image[0], _MAX_SIDE)), jpeg_quality=_JPEG_QUALITY)
    return file
