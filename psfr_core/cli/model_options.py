"""Define the flags that select models and the device."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ..device import resolve_device
from ..faces.detection_options import DetectionOptions
from ..faces.detector import BUNDLED_DETECTOR, load_detector
from ..faces.face import FaceDetector
from ..models.loader import load_parse_net
from ..networks.inference.optimize import fastest_dtype, optimized_on
from ..networks.parse_net import ParseNet
from ..restoration.restoration_models import (
    BUNDLED,
    BUNDLED_GENERATOR,
    BUNDLED_LARGE_GENERATOR,
    BUNDLED_PARSE_NET,
    LARGE_SIDE,
    RestorationModels,
    load_models,
)
from ..restoration.second_opinion import with_second_opinion
from .option_flags import add_options, options_from_args
from .plan import existing_folders

_SKIPPED = ("batch_size",)
_NAMES_OR_FILES = "names or weight files of models; 'psfr models' lists the names"
FIDELITY_HELP = "fidelity of CodeFormer, 0 to 1: 0 invents the most detail, 1 stays closest to the input; default: 0.5"
_DTYPES = ("float32", "bfloat16", "float16")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags for the generator, the parsing network, the detector and the device."""
    group = parser.add_argument_group("generator and parser", _NAMES_OR_FILES)
    group.add_argument(
        "--generator",
        default=BUNDLED,
        help=f"generator, or a GFPGAN, RestoreFormer or CodeFormer file; default: {BUNDLED}, which uses "
        f"{BUNDLED_LARGE_GENERATOR} for crops with a side of more than {LARGE_SIDE:g} image pixels and {BUNDLED_GENERATOR} for "
        "others",
    )
    group.add_argument("--fidelity", type=float, help=FIDELITY_HELP)
    group.add_argument(
        "--parser", default=BUNDLED_PARSE_NET, help=f"parsing network; default: {BUNDLED_PARSE_NET} (bundled)"
    )
    group.add_argument(
        "--dtype",
        choices=_DTYPES,
        help="precision of generator and parser; default: bfloat16 on CPUs with fast bfloat16, else float32; GFPGAN, RestoreFormer "
        "and CodeFormer: float32",
    )
    group.add_argument(
        "--compile",
        action="store_true",
        help="compile generator and parser with torch.compile on a GPU, which is worthwhile for many faces; the first batch of "
        "each size takes about a minute longer; on a CPU, or if compilation fails, the networks run uncompiled with a warning",
    )
    add_detector_arguments(parser)


def add_detector_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags for the detector, the model folders and the device."""
    group = parser.add_argument_group("models", _NAMES_OR_FILES)
    group.add_argument(
        "--detector", help=f"face detector; default: an available RetinaFace, else {BUNDLED_DETECTOR} (bundled)"
    )
    group.add_argument(
        "--models-folder", type=Path, action="append", default=[], help="folder to search for models; repeatable"
    )
    group.add_argument("--download", action="store_true", help="download missing models")
    group.add_argument("--device", help="cpu, cuda, cuda:1, mps; default: the best available")
    add_options(parser, DetectionOptions, skip=_SKIPPED)


def models_from_args(args: argparse.Namespace) -> RestorationModels:
    """Load the generator, the parsing network and the detector that the flags select."""
    return load_models(
        args.generator,
        args.parser,
        args.detector,
        detection=options_from_args(args, DetectionOptions, skip=_SKIPPED),
        folders=folders_from_args(args),
        device=args.device,
        dtype=getattr(torch, args.dtype) if args.dtype else None,
        compile_networks=args.compile,
        download=args.download,
        fidelity=args.fidelity,
    )


def detector_from_args(args: argparse.Namespace, parse_net: ParseNet | None = None) -> FaceDetector:
    """Load the detector that the flags select.

    The bundled detector gets a second opinion from ``parse_net``, or from the bundled parsing network if ``parse_net`` is None.
    """
    device = device_from_args(args)
    detector = load_detector(
        args.detector,
        options=options_from_args(args, DetectionOptions, skip=_SKIPPED),
        folders=folders_from_args(args),
        device=device,
        download=args.download,
    )
    if parse_net is None:
        parse_net = optimized_on(load_parse_net(BUNDLED_PARSE_NET), device, fastest_dtype(device))
    return with_second_opinion(detector, parse_net)


def folders_from_args(args: argparse.Namespace) -> list[Path]:
    """Return the model folders. Raise OptionError if a folder does not exist."""
    return existing_folders("--models-folder", args.models_folder)


def device_from_args(args: argparse.Namespace) -> torch.device:
    """Return the requested device, or the best available device if none is requested."""
    return resolve_device(args.device)
