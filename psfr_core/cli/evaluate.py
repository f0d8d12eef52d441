"""``psfr evaluate``: measure restored images, restorers, the automatic strength, videos, the parsing network or the detector."""

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
    RestorersSpec,
    StrengthSpec,
    VideoSpec,
)
from ..lab.evaluation.tables import table_files
from ..restoration.restoration_models import BUNDLED, BUNDLED_GENERATOR, BUNDLED_PARSE_NET
from .console import add_verbose_argument, progress_bar
from .degrade import DEGRADATION_HELP
from .metric_options import add_metric_arguments, metrics_from_args
from .model_options import FIDELITY_HELP, add_detector_arguments, folders_from_args
from .option_flags import options_from_args
from .plan import add_size_limit_argument, check_folder, check_overwrites

_WITH_PAGE = (ImagesSpec, GeneratorSpec, RestorersSpec)
_PROTOCOL_TEXT = f"""
--protocol paper follows the paper: {PAPER.count:,} faces of CelebA-HQ are drawn from --faces with a fixed seed, scaled to
{PAPER.size} px, and degraded by the paper's pipeline, each with a fixed seed of its own. The metrics are PSNR, SSIM, MS-SSIM,
LPIPS, the Fréchet distance of --features, and FID if --fid is given. The faces and degradations of the paper are not
published. With a similar protocol, a third party measured PSNR 24.82, SSIM 0.673, LPIPS 0.335 and FID 12.0 for the published
generator (torchmetrics, pytorch-fid). Results for other faces, sizes or numbers of faces, such as those reported for the
bundled models, are not comparable.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``psfr evaluate``."""
    subjects = parser.add_subparsers(dest="subject", required=True)
    for spec, text, add_subject_arguments in (
        (ImagesSpec, "results of any method, compared with references of the same names", _add_images),
        (GeneratorSpec, "quality of the generator on clean faces that are degraded with fixed seeds", _add_generator),
        (RestorersSpec, "several restorers on the same degraded faces", _add_restorers),
        (ParserSpec, "mean IoU of the parsing network on degraded faces with known labels", _add_parser),
        (StrengthSpec, "LPIPS of the automatic strength at many levels of degradation", _add_strength),
        (VideoSpec, "clips of faces restored frame by frame and as one video", _add_video),
        (DetectorSpec, "faces and landmarks of a detector, compared with a reference detector", _add_detector),
    ):
        command = subjects.add_parser(spec.kind, help=text, description=f"Measure: {text}.", allow_abbrev=False)
        add_verbose_argument(command)
        has_page = spec in _WITH_PAGE
        page = " and an HTML page with the worst, median and best images" if has_page else ""
        clips = " and the clips" if spec is VideoSpec else ""
        command.add_argument("--out", type=Path, help=f"folder for tables (CSV, JSON, Markdown){page}{clips}")
        add_size_limit_argument(command)
        add_subject_arguments(command)


def _add_images(command: argparse.ArgumentParser) -> None:
    _add_device(command)
    command.add_argument("results", type=Path, help="folder of restored images")
    command.add_argument("references", type=Path, help="folder of clean images of the same names")
    command.add_argument(
        "--inputs", type=Path, help="folder of the method's input images of the same names, which are measured as well"
    )
    add_metric_arguments(command)


def _add_generator(command: argparse.ArgumentParser) -> None:
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.epilog = _PROTOCOL_TEXT
    _add_device(command)
    _add_faces(command)
    add_metric_arguments(command)
    command.add_argument(
        "--generator",
        default=BUNDLED_GENERATOR,
        help=f"name or file of the generator; default: {BUNDLED_GENERATOR} (bundled)",
    )
    command.add_argument("--fidelity", type=float, help=FIDELITY_HELP)
    command.add_argument("--size", type=int, help="side of the measured faces in pixels; default: the generator's size")
    command.add_argument(
        "--protocol",
        choices=[name.value for name in ProtocolName],
        help="evaluation protocol (see below), which needs --features and --heads and excludes --seed, --size and --degradation",
    )


def _add_restorers(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "restorers", nargs="+", metavar="RESTORER", help="generators, or files of GFPGAN, RestoreFormer or CodeFormer"
    )
    _add_device(command)
    _add_faces(command)
    add_metric_arguments(command)
    command.add_argument("--fidelity", type=float, help=FIDELITY_HELP)
    command.add_argument(
        "--size", type=int, help="side of the measured faces in pixels; default: the size of the largest restorer"
    )


def _add_parser(command: argparse.ArgumentParser) -> None:
    _add_device(command)
    _add_faces(command)
    command.add_argument("--labels", type=Path, required=True, help="folder of label images (PNG) of the same names")


def _add_strength(command: argparse.ArgumentParser) -> None:
    _add_clean_faces(command, BUNDLED_GENERATOR)


def _add_video(command: argparse.ArgumentParser) -> None:
    _add_clean_faces(command, BUNDLED)


def _add_clean_faces(command: argparse.ArgumentParser, generator: str) -> None:
    """Add the flags for clean faces, LPIPS, the generator and the parsing network."""
    _add_device(command)
    command.add_argument("--faces", type=Path, required=True, help="folder of clean aligned faces")
    command.add_argument(
        "--seed",
        type=int,
        default=0,
        help="random seed of the first face; each next face uses the next seed; default: 0",
    )
    command.add_argument("--features", type=Path, required=True, help="weight file of AlexNet or VGG-16, for LPIPS")
    command.add_argument(
        "--heads", type=Path, required=True, help="file of the LPIPS v0.1 heads for the network in --features"
    )
    command.add_argument("--generator", default=generator, help=f"name or file of the generator; default: {generator}")
    _add_parser_network(command)


def _add_detector(command: argparse.ArgumentParser) -> None:
    command.add_argument("inputs", nargs="+", metavar="IN", help="images, folders or patterns")
    expected = command.add_mutually_exclusive_group()
    expected.add_argument(
        "--reference",
        default="retinaface-mobile0.25",
        help="name or file of the reference detector; default: retinaface-mobile0.25",
    )
    expected.add_argument(
        "--face-free",
        action="store_true",
        help="assume that no image shows a face, so that all detected faces are false positives, which tables call extra",
    )
    add_detector_arguments(command)


def _add_device(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", help="cpu, cuda, cuda:1, mps; default: the best available")


def _add_faces(command: argparse.ArgumentParser) -> None:
    """Add the flags for degraded faces and the parsing network."""
    command.add_argument("--faces", type=Path, required=True, help="folder of clean aligned faces")
    command.add_argument(
        "--seed", type=int, help="random seed of the first degradation; each next face uses the next seed; default: 0"
    )
    command.add_argument("--degradation", metavar="NAME", help=DEGRADATION_HELP)
    _add_parser_network(command)


def _add_parser_network(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--parser",
        default=BUNDLED_PARSE_NET,
        help=f"name or file of the parsing network; default: {BUNDLED_PARSE_NET} (bundled)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the evaluation and print a table. With ``--out``, write the tables, and the report page or the clips, if any."""
    spec = spec_from_args(args)
    if args.out:
        _check_output(spec, args.out)
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
    if args.subject in (StrengthSpec.kind, VideoSpec.kind):
        names = ("faces", "features", "heads", "generator", "parser", "seed", "max_pixels")
        spec = StrengthSpec if args.subject == StrengthSpec.kind else VideoSpec
        return spec(**{name: getattr(args, name) for name in names})
    faces: dict[str, Any] = {
        "faces": args.faces,
        "parser": args.parser,
        "degradation": args.degradation or "paper",
        "seed": args.seed or 0,
        "max_pixels": args.max_pixels,
    }
    if args.subject == ParserSpec.kind:
        return ParserSpec(**faces, labels=args.labels)
    if args.subject == RestorersSpec.kind:
        return RestorersSpec(
            **faces,
            restorers=tuple(args.restorers),
            fidelity=args.fidelity,
            size=args.size,
            metrics=metrics_from_args(args),
        )
    return GeneratorSpec(
        **faces,
        generator=args.generator,
        fidelity=args.fidelity,
        size=args.size,
        protocol=ProtocolName(args.protocol) if args.protocol else None,
        metrics=metrics_from_args(args),
    )


def _check_output(spec: EvaluationSpec, out: Path) -> None:
    """Raise OptionError if results cannot be written into ``out`` or would overwrite a measured image."""
    check_folder(out)
    has_page = isinstance(spec, _WITH_PAGE)
    if has_page:
        check_folder(out / REPORT_FOLDER)
    check_overwrites(report_files(out) if has_page else table_files(out), images_of(spec))
