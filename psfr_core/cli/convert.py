"""``psfr convert``: convert a weight file to a .safetensors file with metadata."""

from __future__ import annotations

import argparse

from ..models.convert import convert_weights
from ..models.library import ModelLibrary
from .plan import check_is_new, check_overwrites, local_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``psfr convert``."""
    parser.add_argument("source", metavar="IN", help="name or weight file (.pth, .pt, .safetensors) of a model")
    parser.add_argument("target", type=local_path, metavar="OUT.safetensors", help="file to write")
    parser.add_argument(
        "--half", action="store_true", help="store float16 instead of float32, which halves the file size"
    )
    parser.add_argument(
        "--license",
        "--licence",  # the former spelling
        dest="licence",
        metavar="TEXT",
        help="license of the weights, written into the metadata; default: the license of a known model, else unknown",
    )
    parser.add_argument("--force", action="store_true", help="overwrite OUT.safetensors")


def run(args: argparse.Namespace) -> int:
    """Write the file, and print its SHA-256 and path in the format of sha256sum."""
    check_overwrites([args.target], [ModelLibrary().locate(args.source)])
    check_is_new(args.target, force=args.force)
    digest = convert_weights(args.source, args.target, half=args.half, overwrite=args.force, licence=args.licence)
    print(f"{digest}  {args.target}")
    return 0
