"""``psfr doctor``: check the installation and the device, and write a report for an issue."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..device import resolve_device
from ..files import expand_user, write_text
from ..lab.doctor.check import Check, Outcome
from ..lab.doctor.examine import examine
from ..lab.doctor.report import heading, row, summary
from .plan import check_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``psfr doctor``."""
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps, xpu; default: the best available")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.md", help="also write the report to this file")


def run(args: argparse.Namespace) -> int:
    """Run all checks and print each result. Return 1 if a check failed, else 0."""
    output = None if args.output is None else expand_user(args.output)
    if output is not None:
        check_folder(output.parent)
    device = resolve_device(args.device)
    lines: list[str] = []
    checks: list[Check] = []

    def add(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    add(heading(str(device)))
    for check in examine(device):
        checks.append(check)
        add(row(check))
    add(summary(checks))
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_text(output, "\n".join(lines) + "\n")
    return int(any(check.outcome is Outcome.FAILED for check in checks))
