"""``psfr benchmark``: how fast everything is here, against the published formulation and against facexlib."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..errors import OptionError
from ..files import write_text
from .console import report
from .model_options import device_from_args
from .plan import check_folder, check_overwrites

if TYPE_CHECKING:
    from ..lab.benchmark.measure import Measurement

_COLUMNS = ("what", "against", "ratio", "seconds", "against: seconds", "MB", "against: MB", "")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of ``psfr benchmark``."""
    from ..lab.benchmark.cases import CASES

    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"some of: {', '.join(CASES)}; default: all")
    parser.add_argument("--repeats", type=int, default=7, help="runs of each, in turns; at least 7, the default")
    parser.add_argument("--generator", help="name or file; default: random weights in the published shapes")
    parser.add_argument("--parser", help="name or file; default: random weights in the published shapes")
    parser.add_argument("--detector", help="name or file of a RetinaFace, for detection")
    parser.add_argument(
        "--images", nargs="+", type=Path, default=[], help="photos with faces, for quality and detection"
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps; default: the best there is")
    parser.add_argument("--out", type=Path, help="folder for benchmark.md and benchmark.json")


def run(args: argparse.Namespace) -> int:
    """Measures the cases one after the other and prints each line as soon as it is known."""
    from ..images.channels import to_rgb
    from ..images.io import read_image
    from ..lab.benchmark.cases import CASES, skip_reason
    from ..lab.benchmark.context import BenchmarkContext
    from ..lab.benchmark.measure import MIN_REPEATS, machine

    unknown = [name for name in args.cases if name not in CASES]
    if unknown:
        raise OptionError(f"There is no case {unknown[0]}. Choose among {', '.join(CASES)}.")
    if args.repeats < MIN_REPEATS:
        raise OptionError(f"--repeats must be at least {MIN_REPEATS}, got {args.repeats}: timings are noisy.")
    if args.out:
        check_folder(args.out)
        check_overwrites([args.out / "benchmark.md", args.out / "benchmark.json"], args.images)
    device = device_from_args(args)
    images = tuple(to_rgb(read_image(path).pixels) for path in args.images)
    context = BenchmarkContext(device, args.repeats, args.generator, args.parser, args.detector, images)
    left_out = {name: reason for name in args.cases or CASES if (reason := skip_reason(name, context)) is not None}
    for name, reason in left_out.items():
        if args.cases:
            raise OptionError(f"The case {name} cannot be measured: {reason}.")
        report(f"{name} is left out: {reason}.")
    if device.type == "cuda":
        torch.cuda.set_device(device)  # whose work is waited for
    on = machine(device)
    lines = [
        ", ".join(f"{key} {value}" for key, value in on.items()),
        "",
        _row(_COLUMNS),
        _row(["---"] * len(_COLUMNS)),
    ]
    print("\n".join(lines), flush=True)
    measured: list[Measurement] = []
    for name in args.cases or (name for name in CASES if name not in left_out):
        for measurement in CASES[name](context):
            measured.append(measurement)
            lines.append(_row(_cells(measurement)))
            print(lines[-1], flush=True)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        write_text(args.out / "benchmark.md", "\n".join(lines) + "\n")
        results = [asdict(measurement) for measurement in measured]
        write_text(args.out / "benchmark.json", json.dumps({"machine": on, "results": results}, indent=2) + "\n")
    return 0


def _cells(of: Measurement) -> list[str]:
    numbers = (of.ratio, of.seconds, of.baseline_seconds, of.megabytes, of.baseline_megabytes)
    formats = ("{:.1f}x", "{:.3f}", "{:.3f}", "{:.0f}", "{:.0f}")
    shown = ["" if number is None else text.format(number) for number, text in zip(numbers, formats, strict=True)]
    return [of.name, of.baseline, *shown, of.note]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
