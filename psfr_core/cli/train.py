"""``psfr train``: train networks from recipes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OptionError
from .console import progress_bar
from .plan import check_folder, check_overwrites
from .recipe_options import add_recipe_arguments

if TYPE_CHECKING:
    from ..lab.training.recipe import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``psfr train``."""
    from ..lab.training.recipe_file import recipe_names

    parser.add_argument(
        "recipes", nargs="+", metavar="RECIPE", help=f"recipe file, or one of {', '.join(recipe_names())}"
    )
    parser.add_argument("--only", metavar="STAGE", help="name of the only stage to train; default: all stages in order")
    parser.add_argument(
        "--copy-data",
        type=Path,
        metavar="DIR",
        help="write a reduced copy of the training data into the new folder DIR, for training on another machine, and exit",
    )
    parser.add_argument(
        "--quality", type=int, default=75, help="WebP quality of the faces in the copy, 0 to 100; default: 75"
    )
    add_recipe_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run the stages of all recipes in order, each in a run folder with the name of the stage, and print the resulting files.

    If ``--show`` is given, print the recipes instead, and if ``--copy-data`` is given, copy the data instead.
    """
    from ..lab.training.experiment import result_file
    from ..lab.training.experiment import run as run_experiment
    from ..lab.training.recipe_file import read_recipes, to_yaml

    stages = [
        (name, recipe)
        for source in args.recipes
        for name, recipe in read_recipes(source, data=args.data, out=args.out, overrides=args.set).items()
    ]
    chosen = [(name, recipe) for name, recipe in stages if args.only in (None, name)]
    if not chosen:
        raise OptionError(f"There is no stage {args.only}. Choose one of {', '.join(name for name, _ in stages)}.")
    if args.show:
        print("\n".join(f"# {name}\n{to_yaml(recipe)}" for name, recipe in chosen), end="")
        return 0
    if args.copy_data:
        return _copy_data([recipe for _, recipe in chosen], args)
    check_folder(args.out)
    for name, recipe in chosen:
        read = [getattr(recipe, field, None) for field in ("start_from", "first", "second")]
        check_overwrites([result_file(recipe, args.out / name)], [Path(source) for source in read if source])
    for name, recipe in chosen:
        with progress_bar(f"training {name}") as report:
            result = run_experiment(recipe, args.out / name, args.device, report)
        print(result)
    return 0


def _copy_data(recipes: Sequence[Recipe], args: argparse.Namespace) -> int:
    from ..lab.training.small_data import write_small_data

    if args.data is None:
        raise OptionError("--copy-data copies the folder of the training data: give it with --data.")
    check_folder(args.copy_data)
    with progress_bar("copying data") as report:
        write_small_data(recipes, args.data, args.copy_data, quality=args.quality, progress=report)
    size = sum(path.stat().st_size for path in args.copy_data.rglob("*") if path.is_file())
    print(f"{args.copy_data}: {size / 1e6:.1f} MB")
    return 0
