"""``psfr degrade``: pictures made bad in the way a restorer is trained on."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from pathlib import Path

import torch

from ..degradation.config import DegradationConfig, DegradationPreset, load_degradation
from ..degradation.pipeline import apply_degradation, sample_degradation
from ..geometry.box import Size
from ..imaging.channels import split_alpha
from ..imaging.io import read_image, write_image
from .files import for_each_image, plan_outputs
from .options import add_options, take_given

DEGRADATION_HELP = (
    f"{', '.join(preset.value for preset in DegradationPreset)}, or a JSON file of ranges; default: paper"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of ``psfr degrade``."""
    parser.add_argument("inputs", nargs="+", metavar="IN", help="image files, folders or patterns")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where the PNG files go")
    parser.add_argument(
        "--hq", type=Path, metavar="DIR", help="also write what each should become: grey where its colour was taken"
    )
    parser.add_argument("--seed", type=int, default=0, help="the first picture's; each further one adds 1 (default: 0)")
    parser.add_argument(
        "--degradation",
        default="paper",
        metavar="NAME",
        help=f"{DEGRADATION_HELP}; ranges given beside it replace its own",
    )
    add_options(parser, DegradationConfig)
    parser.set_defaults(
        **{field.name: None for field in fields(DegradationConfig)}
    )  # so that what is given can be told


def run(args: argparse.Namespace) -> int:
    """Writes a PNG file for each picture and prints what was done to it; 1 when a picture failed."""
    config = replace(load_degradation(args.degradation), **take_given(args, DegradationConfig))
    plan = plan_outputs(args.inputs, args.output, ".png", lambda target: [target, *_clean(target, args.hq)])
    seeds = {source: args.seed + index for index, source in enumerate(plan)}

    def degrade(source: Path, target: Path) -> None:
        image = read_image(source)
        hq, alpha = split_alpha(image.pixels)
        degradation = sample_degradation(config, min(Size.of(hq)), torch.Generator().manual_seed(seeds[source]))
        pair = apply_degradation(hq, degradation)
        write_image(target, replace(image, pixels=torch.cat((pair.lq, alpha)), bit_depth=8))
        for path in _clean(target, args.hq):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, replace(image, pixels=torch.cat((pair.hq, alpha)), bit_depth=8))
        print(f"{target}: {degradation}")

    return for_each_image("degrading", plan, degrade)


def _clean(target: Path, folder: Path | None) -> list[Path]:
    """Where the picture goes that ``target`` should become, if it is wanted."""
    return [] if folder is None else [folder / target.name]
