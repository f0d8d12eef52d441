"""``psfr blend``: interpolate the weights of two networks."""

from __future__ import annotations

import argparse

from ..models.blend import blend_weights
from ..models.library import ModelLibrary
from .plan import check_is_new, check_overwrites, local_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``psfr blend``."""
    parser.add_argument("one", metavar="ONE", help="name or weight file of a model, not larger than OTHER")
    parser.add_argument(
        "other", metavar="OTHER", help="name or weight file of a model that was trained from ONE, or vice versa"
    )
    parser.add_argument("target", type=local_path, metavar="OUT.safetensors", help="file to write")
    parser.add_argument("--amount", type=float, default=0.5, help="weight of OTHER, 0 to 1; default: 0.5")
    parser.add_argument(
        "--half", action="store_true", help="store float16 instead of float32, which halves the file size"
    )
    parser.add_argument("--force", action="store_true", help="overwrite OUT.safetensors")


def run(args: argparse.Namespace) -> int:
    """Write the file, and print its SHA-256 and path in the format of sha256sum."""
    library = ModelLibrary()
    check_overwrites([args.target], [library.locate(source) for source in (args.one, args.other)])
    check_is_new(args.target, force=args.force)
    digest = blend_weights(args.one, args.other, args.target, amount=args.amount, half=args.half, overwrite=args.force)
    print(f"{digest}  {args.target}")
    return 0
