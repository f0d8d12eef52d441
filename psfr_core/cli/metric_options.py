"""Define the flags that select the metrics of images."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

from ..lab.evaluation.metrics_spec import MetricsSpec
from ..options import description_of


def add_metric_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each field of ``MetricsSpec``."""
    group = parser.add_argument_group("metrics", "PSNR and SSIM are always measured")
    hints = get_type_hints(MetricsSpec)
    for part in fields(MetricsSpec):
        flag, description = f"--{part.name.replace('_', '-')}", description_of(part)
        if hints[part.name] is bool:
            group.add_argument(flag, action="store_true", help=description)
        else:
            group.add_argument(flag, type=Path if Path in get_args(hints[part.name]) else str, help=description)


def metrics_from_args(args: argparse.Namespace) -> MetricsSpec:
    """Return the metrics that the flags select."""
    return MetricsSpec(**{part.name: getattr(args, part.name) for part in fields(MetricsSpec)})
