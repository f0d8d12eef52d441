"""Run the evaluation that a specification describes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ...device import resolve_device
from ...errors import PsfrError, describe
from ...faces.detector import load_detector
from ...images.box import Size
from ...images.channels import to_rgb
from ...images.folders import find_images
from ...images.io import read_image
from ...models.loader import load_face_restorer, load_parse_net
from ...networks.inference.optimize import fastest_dtype, optimized_on
from ...parsing.parse_map import ParseMap
from ...parsing.parser import parse_faces
from ...progress import Progress
from ...restoration.restoration_models import BUNDLED_PARSE_NET, load_models
from ...restoration.second_opinion import with_second_opinion
from ..degradation.config import load_degradation
from ..metrics.lpips import load_lpips
from ..metrics.parsing_iou import ConfusionMatrix
from .face_clips import FACE_SIDE
from .face_matching import match_faces
from .metrics_spec import MetricsSpec, load_metrics
from .protocol import PAPER
from .regions import region_row
from .report import write_report
from .scorer import MetricSet, Scorer
from .sources import ComparedRestorers, DegradedFaces, RestoredFaces, ResultFolder, SampleSource
from .spec import (
    DetectorSpec,
    EvaluationSpec,
    GeneratorSpec,
    ImagesSpec,
    ParserSpec,
    RestorersSpec,
    StrengthSpec,
    VideoSpec,
    settings_of,
)
from .stage import Row
from .strength import strength_rows
from .tables import finite, format_value, markdown_table, means_of, variant_table, write_tables
from .video import clip_folder, video_rows

logger = logging.getLogger(__name__)


class EvaluationError(PsfrError):
    """Raised if some images cannot be measured. ``failures`` maps each of these images to its error message."""

    def __init__(self, failures: Mapping[Path, str], count: int) -> None:
        self.failures = failures
        path, message = next(iter(failures.items()))
        super().__init__(f"{len(failures)} of {count} images failed, the first of them {path}: {message}")


@dataclass(frozen=True)
class Evaluation:
    """Metrics by name of the image, or of the face and variant, and their summary in Markdown."""

    rows: Mapping[str, Row]
    markdown: str


def run(
    spec: EvaluationSpec,
    out: Path | None = None,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Run the evaluation ``spec``, and write its tables into the folder ``out`` unless ``out`` is None.

    Evaluations of images, a generator or restorers also write a report page, and evaluations of videos write the clips. If
    ``device`` is None, the best device is used. ``progress`` counts the images and may raise an error to stop the evaluation.
    Raises OptionError for an invalid specification, ImageFileError if there are no images, the errors of loading models, and
    EvaluationError after the last image if some images could not be measured.
    """
    target = resolve_device(device)
    if isinstance(spec, ImagesSpec):
        return _evaluate_images(spec, out, target, progress)
    if isinstance(spec, GeneratorSpec):
        return _evaluate_generator(spec, out, target, progress)
    if isinstance(spec, RestorersSpec):
        return _compare_restorers(spec, out, target, progress)
    if isinstance(spec, ParserSpec):
        return _evaluate_parser(spec, out, target, progress)
    if isinstance(spec, StrengthSpec):
        return _evaluate_strength(spec, out, target, progress)
    if isinstance(spec, VideoSpec):
        return _evaluate_video(spec, out, target, progress)
    return _evaluate_detector(spec, out, target, progress)


def images_of(spec: EvaluationSpec) -> list[Path]:
    """Return the image files that ``spec`` names. A protocol measures a sample of them. Raise ImageFileError if none are found."""
    if isinstance(spec, DetectorSpec):
        return find_images(spec.inputs)
    return find_images([spec.results if isinstance(spec, ImagesSpec) else spec.faces])


def _evaluate_images(spec: ImagesSpec, out: Path | None, device: torch.device, progress: Progress | None) -> Evaluation:
    folder = ResultFolder(spec.results, spec.references, spec.inputs, spec.max_pixels)
    missing = folder.left_out
    if missing:
        logger.warning("references without a result are left out: %d, such as %s", len(missing), missing[0])
    settings = {**settings_of(spec), "references without a result": str(len(missing))}
    return _score(folder, load_metrics(spec.metrics, device), spec.metrics, settings, out, progress)


def _evaluate_generator(
    spec: GeneratorSpec, out: Path | None, device: torch.device, progress: Progress | None
) -> Evaluation:
    generator = optimized_on(load_face_restorer(spec.generator, fidelity=spec.fidelity), device, torch.float32)
    parse_net = optimized_on(load_parse_net(spec.parser), device, torch.float32)
    if spec.protocol is None:
        faces = _degraded_faces(spec, spec.size or generator.size)
    else:
        faces = DegradedFaces(PAPER.draw(images_of(spec)), PAPER.size, PAPER.seed, max_pixels=spec.max_pixels)
    metrics = replace(spec.metrics, ms_ssim=spec.metrics.ms_ssim or spec.protocol is not None)
    source = RestoredFaces(faces, generator, parse_net)
    return _score(source, load_metrics(metrics, device), metrics, settings_of(spec), out, progress)


def _compare_restorers(
    spec: RestorersSpec, out: Path | None, device: torch.device, progress: Progress | None
) -> Evaluation:
    restorers = {
        name: optimized_on(load_face_restorer(source, fidelity=spec.fidelity), device, torch.float32)
        for name, source in zip(spec.names, spec.restorers, strict=True)
    }
    parse_net = optimized_on(load_parse_net(spec.parser), device, torch.float32)
    faces = _degraded_faces(spec, spec.size or max(restorer.size for restorer in restorers.values()))
    source = ComparedRestorers(faces, restorers, parse_net)
    return _score(source, load_metrics(spec.metrics, device), spec.metrics, settings_of(spec), out, progress)


def _degraded_faces(spec: GeneratorSpec | RestorersSpec | ParserSpec, size: int) -> DegradedFaces:
    return DegradedFaces(images_of(spec), size, spec.seed, load_degradation(spec.degradation), spec.max_pixels)


def _score(
    source: SampleSource,
    models: MetricSet,
    metrics: MetricsSpec,
    settings: Mapping[str, str],
    out: Path | None,
    progress: Progress | None,
) -> Evaluation:
    rank_by = next(metric for metric in models.metrics if metric.name == metrics.ranking_metric)
    scorer = Scorer(models, source.stages)
    _measure_each(source.names, lambda path: scorer.add(source.names[path], source.load(path)), progress)
    result = scorer.result()
    if out is not None:
        paths = {name: path for path, name in source.names.items()}
        write_report(out, result, lambda name: source.load(paths[name]), rank_by=rank_by, settings=settings)
    return Evaluation(result.rows, result.markdown)


def _evaluate_parser(spec: ParserSpec, out: Path | None, device: torch.device, progress: Progress | None) -> Evaluation:
    parse_net = optimized_on(load_parse_net(spec.parser), device, torch.float32)
    faces = _degraded_faces(spec, parse_net.config.size)
    matrices: dict[str, ConfusionMatrix] = {}

    def measure(path: Path) -> None:
        lq = faces.pair(path).lq[None]
        true = ParseMap.from_png(spec.labels / f"{faces.names[path]}.png").resized(Size.of(lq))
        predicted = parse_faces(lq.to(device), parse_net)
        matrices[faces.names[path]] = ConfusionMatrix.of(predicted.labels.cpu(), true.labels)

    _measure_each(faces.names, measure, progress)
    rows = {name: region_row(matrix) for name, matrix in matrices.items()}
    total = region_row(sum(matrices.values(), ConfusionMatrix.empty()))
    table = _table(f"all {len(rows)} as one", total)
    return _tabulate(rows, table, {"all_as_one": finite(total), "settings": settings_of(spec)}, out)


def _evaluate_strength(
    spec: StrengthSpec, out: Path | None, device: torch.device, progress: Progress | None
) -> Evaluation:
    generator = optimized_on(load_face_restorer(spec.generator), device, torch.float32)
    parse_net = optimized_on(load_parse_net(spec.parser), device, torch.float32)
    lpips = load_lpips(spec.features, spec.heads).to(device)
    faces = DegradedFaces(images_of(spec), generator.size, spec.seed, max_pixels=spec.max_pixels)
    by_face: dict[str, Mapping[str, Row]] = {}

    def measure(path: Path) -> None:
        seed = spec.seed + len(by_face)
        by_face[faces.names[path]] = strength_rows(faces.clean(path), seed, generator, parse_net, lpips)

    _measure_each(faces.names, measure, progress)
    return _tabulate_variants(by_face, spec, out)


def _evaluate_video(spec: VideoSpec, out: Path | None, device: torch.device, progress: Progress | None) -> Evaluation:
    models = load_models(spec.generator, spec.parser, device=device, dtype=torch.float32)
    lpips = load_lpips(spec.features, spec.heads)
    faces = DegradedFaces(images_of(spec), FACE_SIDE, spec.seed, max_pixels=spec.max_pixels)
    by_face: dict[str, Mapping[str, Row]] = {}

    def measure(path: Path) -> None:
        name, seed = faces.names[path], spec.seed + len(by_face)
        with clip_folder(out, name) as folder:
            by_face[name] = video_rows(faces.clean(path), seed, models, lpips, folder)

    _measure_each(faces.names, measure, progress)
    return _tabulate_variants(by_face, spec, out)


def _tabulate_variants(
    by_face: Mapping[str, Mapping[str, Row]], spec: StrengthSpec | VideoSpec, out: Path | None
) -> Evaluation:
    """Tabulate the means of each variant over the faces, and write the rows of all faces and variants into ``out``."""
    rows = {f"{name}, {variant}": row for name, variants in by_face.items() for variant, row in variants.items()}
    return _tabulate(rows, variant_table(by_face), {"settings": settings_of(spec)}, out)


def _evaluate_detector(
    spec: DetectorSpec, out: Path | None, device: torch.device, progress: Progress | None
) -> Evaluation:
    network = load_detector(
        spec.detector, options=spec.options, folders=spec.folders, device=device, download=spec.download
    )
    parse_net = optimized_on(load_parse_net(BUNDLED_PARSE_NET), device, fastest_dtype(device))
    detector = with_second_opinion(network, parse_net)
    reference = None
    if spec.reference is not None:
        reference = load_detector(spec.reference, folders=spec.folders, device=device)
    rows: dict[str, Row] = {}

    def measure(path: Path) -> None:
        image = to_rgb(read_image(path, max_pixels=spec.max_pixels).pixels)[None]
        expected = [] if reference is None else reference.detect(image)[0]
        rows[str(path)] = match_faces(detector.detect(image)[0], expected)

    _measure_each(images_of(spec), measure, progress)
    table = _table(f"mean of {len(rows)}", means_of(rows))
    return _tabulate(rows, table, {"settings": settings_of(spec)}, out)


def _measure_each(paths: Iterable[Path], measure: Callable[[Path], None], progress: Progress | None) -> None:
    """Measure all images and log their errors.

    Raises EvaluationError at the end if any image failed, because the mean of the others would be misleading.
    """
    paths = list(paths)
    failures: dict[Path, str] = {}
    for done, path in enumerate(paths, start=1):
        try:
            measure(path)
        except Exception as error:  # damaged files and networks raise errors of any type
            failures[path] = describe(error)
            logger.warning("%s: %s", path, failures[path])
            logger.debug("Traceback of the error:", exc_info=error)
        if progress is not None:
            progress(done, len(paths))
    if failures:
        raise EvaluationError(failures, len(paths))


def _table(title: str, row: Row) -> str:
    return markdown_table([title, *row], ["", *map(format_value, row.values())])


def _tabulate(rows: Mapping[str, Row], table: str, summary: Mapping[str, object], out: Path | None) -> Evaluation:
    if out is not None:
        write_tables(out, rows, summary, table)
    return Evaluation(rows, table)
