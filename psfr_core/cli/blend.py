"""``psfr blend``: the interpolated weights of two networks."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..files import expand_user
from ..models.blend import blend_weights
from ..models.library import ModelLibrary
from .plan import check_overwrites


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``psfr blend``."""
    parser.add_argument("one", metavar="ONE", help="a weight file or the name of a model")
    parser.add_argument("other", metavar="OTHER", help="one that was trained on from it, or it from that one")
    parser.add_argument("target", type=Path, metavar="OUT.safetensors", help="the file to write")
    parser.add_argument("--amount", type=float, default=0.5, help="share of OTHER, 0 to 1; default: 0.5")
    parser.add_argument("--half", action="store_true", help="store float16, half the size")
    parser.add_argument("--force", action="store_true", help="overwrite OUT.safetensors")


def run(args: argparse.Namespace) -> int:
    """Write the file and print its SHA-256 and its path, as sha256sum does."""
    library = ModelLibrary()
    check_overwrites([expand_user(args.target)], [library.locate(source) for source in (args.one, args.other)])
    digest = blend_weights(args.one, args.other, args.target, amount=args.amount, half=args.half, overwrite=args.force)
    print(f"{digest}  {args.target}")
    return 0
