"""Define the flags of the commands that run a recipe or a study."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_recipe_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags for folders, overrides, the device and ``--show``."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs"),
        metavar="DIR",
        help="parent folder of the run folders, called $out in recipes; default: runs",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the training data, called $data in recipes")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="override a value of the recipe, such as losses.style=2 or loop.steps=1000; repeatable",
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1 or mps; default: the best available")
    parser.add_argument(
        "--show",
        action="store_true",
        help="print the recipes or the study with all values and their descriptions, and exit",
    )
