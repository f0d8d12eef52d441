"""``psfr evaluate``: figures for restored images, and for each of the three models."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..checks import check_seed
from ..errors import OptionError
from ..faces.detector import load_detector
from ..images.box import Size
from ..images.channels import to_rgb
from ..images.folders import find_images
from ..images.io import read_image
from ..lab.degradation.config import load_degradation
from ..lab.evaluation.metric import Row
from ..lab.evaluation.protocol import PAPER
from ..models.loader import load_generator, load_parse_net
from ..networks.inference.optimize import optimized_on
from ..options import check_value
from ..restoration.restoration_models import BUNDLED_GENERATOR, BUNDLED_PARSE_NET
from .batch import for_each_image
from .console import add_verbose_argument, report
from .degrade import DEGRADATION_HELP
from .metric_options import add_metric_arguments, metric_models_from_args, ranking_from_args
from .model_options import add_detector_arguments, detector_from_args, device_from_args, folders_from_args
from .option_flags import MAX_SIDE
from .plan import check_folder, check_overwrites

if TYPE_CHECKING:
    from ..lab.evaluation.scorer import MetricModels
    from ..lab.evaluation.sources import DegradedFaces, SampleSource

_PROTOCOL_TEXT = f"""
--protocol paper measures as the paper does: {PAPER.count:,} faces of CelebA-HQ, which a fixed seed draws from --faces,
at {PAPER.size} px, each degraded by the paper's pipeline with a fixed seed of its own; PSNR, SSIM, MS-SSIM, LPIPS, the
Fréchet distance of --features, and FID where --fid is given. They are not the faces and degradations of the paper,
which are not known here. By such a protocol a third party measured for the published generator PSNR 24.82,
SSIM 0.673, LPIPS 0.335 and FID 12.0 (torchmetrics, pytorch-fid). Figures of other faces, other sizes or other
numbers of faces, such as those of the bundled models, cannot be compared with these.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``psfr evaluate``."""
    subjects = parser.add_subparsers(dest="subject", required=True)
    settings: dict[str, tuple[str, Callable[[argparse.Namespace], int]]] = {
        "images": ("a folder of results of any method against a folder of the same names", _images),
        "generator": ("what the generator gains on clean faces degraded with fixed seeds", _generator),
        "parser": ("mean IoU of the parsing network on degraded faces with known labels", _parser),
        "detector": ("faces found and landmark error of a detector, with another one as the reference", _detector),
    }
    for name, (what, run_subject) in settings.items():
        command = subjects.add_parser(name, help=what, description=f"Measures {what}.", allow_abbrev=False)
        command.set_defaults(measure=run_subject)
        add_verbose_argument(command)
        report_too = " and a page with the worst, median and best" if name in ("images", "generator") else ""
        command.add_argument("--out", type=Path, help=f"folder for tables (CSV, JSON, Markdown){report_too}")
        if name != "detector":
            command.add_argument("--device", help="default: the best there is")
    images, generator, parser_, detector = (subjects.choices[name] for name in settings)
    images.add_argument("results", type=Path, help="folder of restored images")
    images.add_argument("references", type=Path, help="folder of clean images of the same names")
    images.add_argument(
        "--inputs", type=Path, help="folder of what was restored, of the same names, to measure as well"
    )
    for command in (generator, parser_):
        command.add_argument("--faces", type=Path, required=True, help="folder of clean aligned faces")
        command.add_argument("--seed", type=int, help="of the first degradation; default: 0")
        command.add_argument("--degradation", metavar="NAME", help=DEGRADATION_HELP)
        command.add_argument("--parser", default=BUNDLED_PARSE_NET, help=f"default: {BUNDLED_PARSE_NET}, bundled")
    for command in (images, generator):
        add_metric_arguments(command)
    generator.formatter_class = argparse.RawDescriptionHelpFormatter
    generator.epilog = _PROTOCOL_TEXT
    generator.add_argument("--generator", default=BUNDLED_GENERATOR, help=f"default: {BUNDLED_GENERATOR}, bundled")
    generator.add_argument(
        "--size", type=int, help="side in pixels of the faces measured; default: the generator's own"
    )
    generator.add_argument("--protocol", choices=["paper"], help="see below")
    parser_.add_argument("--labels", type=Path, required=True, help="folder of label PNGs of the same names")
    detector.add_argument("inputs", nargs="+", metavar="IN", help="images, folders or patterns")
    expected = detector.add_mutually_exclusive_group()
    expected.add_argument("--reference", default="retinaface-mobile0.25", help="detector to compare with")
    expected.add_argument(
        "--face-free", action="store_true", help="no image shows a face: all that are found are extra"
    )
    add_detector_arguments(detector)


def run(args: argparse.Namespace) -> int:
    """Measure, print a table and write it where asked."""
    if args.out:
        check_folder(args.out)  # before anything is measured
    return args.measure(args)


def _images(args: argparse.Namespace) -> int:
    from ..lab.evaluation.sources import ResultFolder

    folder = ResultFolder(args.results, args.references, args.inputs)
    if folder.left_out:
        report(f"{len(folder.left_out)} references have no result and are left out, such as {folder.left_out[0]}.")
    models = metric_models_from_args(args, device_from_args(args))
    settings = {"results": str(args.results), "references": str(args.references)}
    settings["references without a result"] = str(len(folder.left_out))
    return _measure(args, folder, models, settings)


def _generator(args: argparse.Namespace) -> int:
    from ..lab.evaluation.sources import RestoredFaces

    if args.size is not None:
        check_value("--size", args.size, int, low=1, high=MAX_SIDE)
    device = device_from_args(args)
    generator = optimized_on(load_generator(args.generator), device, torch.float32)
    parse_net = optimized_on(load_parse_net(args.parser), device, torch.float32)
    models = metric_models_from_args(args, device)
    settings = {"generator": args.generator, "parsing network": args.parser, "faces": str(args.faces)}
    if args.protocol:
        faces = _protocol_faces(args)
        models = replace(models, ms_ssim=True)
        settings["protocol"] = args.protocol
    else:
        faces = _degraded_faces(args, args.size or generator.config.size)
        settings |= {"degradation": args.degradation or "paper", "seed of the first degradation": str(args.seed or 0)}
    return _measure(args, RestoredFaces(faces, generator, parse_net), models, settings)


def _degraded_faces(args: argparse.Namespace, size: int) -> DegradedFaces:
    from ..lab.evaluation.sources import DegradedFaces

    degradation = load_degradation(args.degradation or "paper")
    check_seed(args.seed or 0, "--seed")
    return DegradedFaces(find_images([args.faces]), size, args.seed or 0, degradation)


def _protocol_faces(args: argparse.Namespace) -> DegradedFaces:
    from ..lab.evaluation.sources import DegradedFaces

    if not all(given is None for given in (args.seed, args.degradation, args.size)):
        raise OptionError(
            "--protocol has its own size, degradation and seeds: leave out --size, --degradation and --seed."
        )
    if not args.features:
        raise OptionError("--protocol measures LPIPS: give --features and --heads.")
    return DegradedFaces(PAPER.draw(find_images([args.faces])), PAPER.size, PAPER.seed)


def _measure(
    args: argparse.Namespace,
    source: SampleSource,
    models: MetricModels,
    settings: Mapping[str, str],
) -> int:
    """Measure every sample, print the summary and write the report where asked."""
    from ..lab.evaluation.report import PICTURES_FOLDER, report_files, write_report
    from ..lab.evaluation.scorer import Scorer

    rank_by = ranking_from_args(args, models)
    scorer = Scorer(models, source.stages)

    def measure(path: Path) -> None:
        scorer.add(source.names[path], source.load(path))

    if args.out:
        check_folder(args.out / PICTURES_FOLDER)
        check_overwrites(report_files(args.out), source.names)
    measured = for_each_image("measuring", source.names, measure)
    if measured.failures:
        return measured.exit_code  # a mean of what is left would look like one of all
    result = scorer.result()
    print(result.markdown, end="")
    if args.out:
        paths = {name: path for path, name in source.names.items()}
        write_report(args.out, result, lambda name: source.load(paths[name]), rank_by=rank_by, settings=settings)
    return 0


def _parser(args: argparse.Namespace) -> int:
    from ..lab.evaluation.regions import region_row
    from ..lab.metrics.parsing_iou import ConfusionMatrix
    from ..parsing.parse_map import ParseMap
    from ..parsing.parser import parse_faces

    device = device_from_args(args)
    parse_net = optimized_on(load_parse_net(args.parser), device, torch.float32)
    faces = _degraded_faces(args, parse_net.config.size)
    matrices: dict[str, ConfusionMatrix] = {}

    def measure(path: Path) -> None:
        lq = faces.pair(path).lq[None]
        true = ParseMap.from_png(args.labels / f"{faces.names[path]}.png").resized(Size.of(lq))
        predicted = parse_faces(lq.to(device), parse_net)
        matrices[faces.names[path]] = ConfusionMatrix.of(predicted.labels.cpu(), true.labels)

    measured = for_each_image("measuring", faces.names, measure)
    if measured.failures:
        return measured.exit_code
    rows = {name: region_row(matrix) for name, matrix in matrices.items()}
    return _show(args, rows, region_row(sum(matrices.values(), ConfusionMatrix.empty())))


def _detector(args: argparse.Namespace) -> int:
    from ..lab.evaluation.face_matching import match_faces
    from ..lab.evaluation.tables import table_files

    paths = find_images(args.inputs)
    if args.out:
        check_overwrites(table_files(args.out), paths)
    detector = detector_from_args(args)
    reference = None
    if not args.face_free:
        reference = load_detector(args.reference, folders=folders_from_args(args), device=device_from_args(args))
    rows: dict[str, Row] = {}

    def measure(path: Path) -> None:
        image = to_rgb(read_image(path).pixels)[None]
        expected = [] if reference is None else reference.detect(image)[0]
        rows[str(path)] = match_faces(detector.detect(image)[0], expected)

    measured = for_each_image("detecting", paths, measure)
    return measured.exit_code if measured.failures else _show(args, rows)


def _show(args: argparse.Namespace, rows: Mapping[str, Row], of_all: Row | None = None) -> int:
    """Print the means, or the figures of all images as one, and write the tables where asked."""
    from ..lab.evaluation.tables import finite, markdown_table, means_of, shown, write_tables

    figures = means_of(rows) if of_all is None else of_all
    title = f"mean of {len(rows)}" if of_all is None else f"all {len(rows)} as one"
    table = markdown_table([title, *figures], ["", *map(shown, figures.values())])
    print(table, end="")
    if args.out:
        write_tables(args.out, rows, {} if of_all is None else {"all_as_one": finite(of_all)}, table)
    return 0
