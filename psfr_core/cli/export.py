"""``psfr export``: export a network to ONNX, so that it runs without PyTorch."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ..export.onnx_file import export_onnx
from ..models.library import ModelLibrary
from ..models.manifest import ModelKind
from .model_options import FIDELITY_HELP
from .plan import check_folder, check_is_new, check_overwrites, existing_folders, local_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``psfr export``."""
    parser.add_argument("kind", choices=[kind.value for kind in ModelKind], help="type of the model")
    parser.add_argument(
        "model", metavar="MODEL", help="name or weight file of the model; 'psfr models' lists the names"
    )
    parser.add_argument("-o", "--output", type=local_path, required=True, metavar="FILE.onnx", help="file to write")
    parser.add_argument("--format", choices=["onnx"], default="onnx", help="format of the file; default: onnx")
    parser.add_argument(
        "--dtype",
        choices=["float32", "float16"],
        default="float32",
        help="precision of the weights; float16 halves the file size; default: float32",
    )
    parser.add_argument("--fidelity", type=float, help=FIDELITY_HELP)
    parser.add_argument(
        "--models-folder", type=Path, action="append", default=[], help="folder to search for models; repeatable"
    )
    parser.add_argument("--download", action="store_true", help="download a missing model")
    parser.add_argument("--force", action="store_true", help="overwrite FILE.onnx")


def run(args: argparse.Namespace) -> int:
    """Write the file, and print its path and the difference between its outputs and those of PyTorch."""
    target, kind = args.output, ModelKind(args.kind)
    folders = existing_folders("--models-folder", args.models_folder)
    if not args.download:
        check_overwrites([target], [ModelLibrary(folders).locate(args.model, kind)])
    check_is_new(target, force=args.force)
    check_folder(target.parent)
    comparison = export_onnx(
        args.model,
        kind,
        target,
        dtype=getattr(torch, args.dtype),
        fidelity=args.fidelity,
        folders=folders,
        download=args.download,
    )
    print(f"{target}: in ONNX Runtime, {comparison}")
    return 0
