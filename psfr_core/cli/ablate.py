"""``psfr ablate``: train variants of the generator that each lack one idea of the paper, and compare them."""

from __future__ import annotations

import argparse

from .console import progress_bar
from .plan import check_folder
from .recipe_options import add_recipe_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``psfr ablate``."""
    parser.add_argument(
        "study", nargs="?", default="ablations", metavar="STUDY", help="name or file of the study; default: ablations"
    )
    add_recipe_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run the study and print its table, or print the study if ``--show`` is given."""
    from ..lab.training.ablation_study import read_study, run_study, study_table
    from ..lab.training.recipe_file import to_yaml

    study = read_study(args.study, data=args.data, out=args.out, overrides=args.set)
    if args.show:
        print(to_yaml(study))
        return 0
    check_folder(args.out)
    with progress_bar("training") as report:
        rows = run_study(study, args.out, args.device, report)
    print(study_table(rows), end="")
    return 0
