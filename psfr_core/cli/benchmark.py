"""``psfr benchmark``: measure speed and memory, and compare them with the published formulation and facexlib."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ..device import resolve_device
from ..files import write_text
from ..lab.benchmark.cases import CASES
from ..lab.benchmark.measure import MIN_REPEATS, Measurement, machine
from ..lab.benchmark.run import measure_cases
from ..lab.benchmark.spec import BenchmarkSpec
from .console import report
from .plan import add_size_limit_argument, check_folder, check_overwrites

_COLUMNS = ("function", "baseline", "ratio", "seconds", "baseline seconds", "MB", "baseline MB", "note")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``psfr benchmark``."""
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"cases to measure: {', '.join(CASES)}; default: all")
    parser.add_argument(
        "--repeats",
        type=int,
        default=MIN_REPEATS,
        help=f"number of runs of each function, at least {MIN_REPEATS}; default: {MIN_REPEATS}",
    )
    parser.add_argument(
        "--generator",
        help="name or file of the generator, for the cases networks, quality, loading, training and onnx; default: random weights "
        "in the published shapes for networks and loading, psfrgan-256 for the others",
    )
    parser.add_argument(
        "--parser",
        help="name or file of the parsing network, for the cases networks, quality and onnx; default: random weights in the "
        "published shapes for networks, parsenet-256 for the others",
    )
    parser.add_argument("--detector", help="name or file of a RetinaFace, for the case detection")
    parser.add_argument(
        "--images",
        nargs="+",
        type=Path,
        default=[],
        help="photos with faces, for the cases quality and detection; restoration, bulk and video restore the first photo",
    )
    add_size_limit_argument(parser)
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps; default: the best available")
    parser.add_argument("--out", type=Path, help="folder for benchmark.md and benchmark.json")


def run(args: argparse.Namespace) -> int:
    """Measure the cases, print each line of the table as soon as it is measured, and write the files if ``--out`` is given."""
    spec = spec_from_args(args)
    files = [args.out / name for name in ("benchmark.md", "benchmark.json")] if args.out else []
    if args.out:
        check_folder(args.out)
        check_overwrites(files, spec.images)
    device = resolve_device(args.device)
    context = spec.context(device)
    for name, reason in spec.skipped(context).items():
        report(f"{name} is skipped: {reason}.")
    on = machine(device)
    lines = [", ".join(f"{key} {value}" for key, value in on.items()), "", _row(_COLUMNS)]
    lines.append(_row(["---"] * len(_COLUMNS)))
    print("\n".join(lines), flush=True)
    measured: list[Measurement] = []
    for measurement in measure_cases(spec, context):
        measured.append(measurement)
        lines.append(_row(_cells(measurement)))
        print(lines[-1], flush=True)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        results = [asdict(measurement) for measurement in measured]
        texts = ("\n".join(lines), json.dumps({"machine": on, "results": results}, indent=2))
        for file, text in zip(files, texts, strict=True):
            write_text(file, text + "\n")
    return 0


def spec_from_args(args: argparse.Namespace) -> BenchmarkSpec:
    """Return the specification that the arguments describe."""
    return BenchmarkSpec(
        cases=tuple(args.cases),
        repeats=args.repeats,
        generator=args.generator,
        parser=args.parser,
        detector=args.detector,
        images=tuple(args.images),
        max_pixels=args.max_pixels,
    )


def _cells(measured: Measurement) -> list[str]:
    numbers = (
        measured.ratio,
        measured.seconds,
        measured.baseline_seconds,
        measured.megabytes,
        measured.baseline_megabytes,
    )
    formats = ("{:.1f}x", "{:.3f}", "{:.3f}", "{:.0f}", "{:.0f}")
    texts = ["" if number is None else text.format(number) for number, text in zip(numbers, formats, strict=True)]
    return [measured.name, measured.baseline, *texts, measured.note]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
