"""``psfr evaluate``: measure restored images, the generator, the parsing network or the detector."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..faces.detection_options import DetectionOptions
from ..lab.evaluation.protocol import PAPER
from ..lab.evaluation.report import REPORT_FOLDER, report_files
from ..lab.evaluation.run import images_of
from ..lab.evaluation.run import run as run_evaluation
from ..lab.evaluation.spec import (
    DetectorSpec,
    EvaluationSpec,
    GeneratorSpec,
    ImagesSpec,
    ParserSpec,
    ProtocolName,
)
from ..lab.evaluation.tables import table_files
from ..restoration.restoration_models import BUNDLED_GENERATOR, BUNDLED_PARSE_NET
from .console import add_verbose_argument, progress_bar
from .degrade import DEGRADATION_HELP
from .metric_options import add_metric_arguments, metrics_from_args
from .model_options import add_detector_arguments, folders_from_args
from .option_flags import options_from_args
from .plan import add_size_limit_argument, check_folder, check_overwrites

_PROTOCOL_TEXT = f"""
--protocol paper measures as the paper does: {PAPER.count:,} faces of CelebA-HQ, which a fixed seed draws from --faces,
at {PAPER.size} px, each degraded by the paper's pipeline with a fixed seed of its own; PSNR, SSIM, MS-SSIM, LPIPS, the
Fréchet distance of --features, and FID where --fid is given. They are not the faces and degradations of the paper,
which are not known here. By such a protocol a third party measured for the published generator PSNR 24.82,
SSIM 0.673, LPIPS 0.335 and FID 12.0 (torchmetrics, pytorch-fid). Figures of other faces, other sizes or other
numbers of faces, such as those of the bundled models, cannot be compared with these.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``psfr evaluate``."""
    subjects = parser.add_subparsers(dest="subject", required=True)
    subjects_help = {
        "images": "results of any method, compared with references of the same names",
        "generator": "quality of the generator on clean faces that are degraded with fixed seeds",
        "parser": "mean IoU of the parsing network on degraded faces with known labels",
        "detector": "faces and landmarks of a detector, compared with a reference detector",
    }
    for name, what in subjects_help.items():
        command = subjects.add_parser(name, help=what, description=f"Measure: {what}.", allow_abbrev=False)
        add_verbose_argument(command)
        report_too = (
            " and an HTML page with the worst, median and best images" if name in ("images", "generator") else ""
        )
        command.add_argument("--out", type=Path, help=f"folder for tables (CSV, JSON, Markdown){report_too}")
        add_size_limit_argument(command)
        if name != "detector":
            command.add_argument("--device", help="cpu, cuda, cuda:1, mps; default: the fastest available")
    images, generator, parser_, detector = (subjects.choices[name] for name in subjects_help)
    images.add_argument("results", type=Path, help="folder of restored images")
    images.add_argument("references", type=Path, help="folder of clean images of the same names")
    images.add_argument(
        "--inputs", type=Path, help="folder of the inputs of the method, of the same names, to measure as well"
    )
    for command in (generator, parser_):
        command.add_argument("--faces", type=Path, required=True, help="folder of clean aligned faces")
        command.add_argument("--seed", type=int, help="seed of the first degradation; default: 0")
        command.add_argument("--degradation", metavar="NAME", help=DEGRADATION_HELP)
        command.add_argument(
            "--parser", default=BUNDLED_PARSE_NET, help=f"name or file; default: {BUNDLED_PARSE_NET}, bundled"
        )
    for command in (images, generator):
        add_metric_arguments(command)
    generator.formatter_class = argparse.RawDescriptionHelpFormatter
    generator.epilog = _PROTOCOL_TEXT
    generator.add_argument(
        "--generator", default=BUNDLED_GENERATOR, help=f"name or file; default: {BUNDLED_GENERATOR}, bundled"
    )
    generator.add_argument(
        "--size", type=int, help="side of the measured faces in pixels; default: the size of the generator"
    )
    generator.add_argument("--protocol", choices=[name.value for name in ProtocolName], help="see below")
    parser_.add_argument("--labels", type=Path, required=True, help="folder of label PNGs of the same names")
    detector.add_argument("inputs", nargs="+", metavar="IN", help="images, folders or patterns")
    expected = detector.add_mutually_exclusive_group()
    expected.add_argument("--reference", default="retinaface-mobile0.25", help="detector to compare with")
    expected.add_argument(
        "--face-free", action="store_true", help="no image shows a face: all faces found are false positives"
    )
    add_detector_arguments(detector)


def run(args: argparse.Namespace) -> int:
    """Measure, print a table, and write tables and a report if ``--out`` is given."""
    spec = spec_from_args(args)
    if args.out:
        _check_output(spec, args.out)  # before anything is measured
    with progress_bar("measuring", unit="image") as progress:
        evaluation = run_evaluation(spec, args.out, args.device, progress)
    print(evaluation.markdown, end="")
    return 0


def spec_from_args(args: argparse.Namespace) -> EvaluationSpec:
    """Return the specification that the arguments describe."""
    if args.subject == ImagesSpec.kind:
        return ImagesSpec(
            results=args.results,
            references=args.references,
            inputs=args.inputs,
            metrics=metrics_from_args(args),
            max_pixels=args.max_pixels,
        )
    if args.subject == DetectorSpec.kind:
        return DetectorSpec(
            inputs=tuple(args.inputs),
            detector=args.detector,
            reference=None if args.face_free else args.reference,
            options=options_from_args(args, DetectionOptions, skip=("batch_size",)),
            folders=tuple(folders_from_args(args)),
            download=args.download,
            max_pixels=args.max_pixels,
        )
    faces: dict[str, Any] = {
        "faces": args.faces,
        "parser": args.parser,
        "degradation": args.degradation or "paper",
        "seed": args.seed or 0,
        "max_pixels": args.max_pixels,
    }
    if args.subject == ParserSpec.kind:
        return ParserSpec(**faces, labels=args.labels)
    return GeneratorSpec(
        **faces,
        generator=args.generator,
        size=args.size,
        protocol=ProtocolName(args.protocol) if args.protocol else None,
        metrics=metrics_from_args(args),
    )


def _check_output(spec: EvaluationSpec, out: Path) -> None:
    """Raise OptionError if the results cannot be written into ``out`` or would overwrite an image."""
    check_folder(out)
    has_page = isinstance(spec, (ImagesSpec, GeneratorSpec))
    if has_page:
        check_folder(out / REPORT_FOLDER)
    check_overwrites(report_files(out) if has_page else table_files(out), images_of(spec))
