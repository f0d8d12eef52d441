"""``psfr convert``: any weight file as a .safetensors file that says what it is."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..files import expand_user
from ..models.convert import convert_weights
from ..models.library import ModelLibrary
from .plan import check_overwrites


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``psfr convert``."""
    parser.add_argument("source", metavar="IN", help="a weight file (.pth, .pt, .safetensors) or the name of a model")
    parser.add_argument("target", type=Path, metavar="OUT.safetensors", help="the file to write")
    parser.add_argument("--half", action="store_true", help="store float16, half the size")
    parser.add_argument("--licence", metavar="TEXT", help="the licence of the weights, for files that are not known")
    parser.add_argument("--force", action="store_true", help="overwrite OUT.safetensors")


def run(args: argparse.Namespace) -> int:
    """Write the file and print its SHA-256 and its path, as sha256sum does."""
    check_overwrites([expand_user(args.target)], [ModelLibrary().locate(args.source)])
    digest = convert_weights(args.source, args.target, half=args.half, overwrite=args.force, licence=args.licence)
    print(f"{digest}  {args.target}")
    return 0
