"""``psfr degrade``: degrade images the way training does."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from pathlib import Path

import torch

from ..checks import check_seed, seeded_generator
from ..images.box import Size
from ..images.channels import split_alpha
from ..images.io import read_image, write_image
from ..lab.degradation.config import DegradationConfig, DegradationPreset, load_degradation
from ..lab.degradation.pipeline import apply_degradation, sample_degradation
from .batch import run_plan, summarize
from .option_flags import add_options, given_options_from_args
from .plan import add_file_arguments, check_folder, local_path, plan_from_args

_SKIPPED = ("old_photo",)  # set by presets and JSON files
DEGRADATION_HELP = (
    f"{', '.join(preset.value for preset in DegradationPreset)}, or a JSON file of ranges; default: paper"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``psfr degrade``."""
    add_file_arguments(parser, "output folder for the PNG files")
    parser.add_argument(
        "--hq",
        type=local_path,
        metavar="DIR",
        help="folder for the restoration targets, which are the originals, in gray if the degradation removes the color",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="random seed of the first image; each next image uses the next seed; default: 0",
    )
    parser.add_argument(
        "--degradation",
        default="paper",
        metavar="NAME",
        help=f"{DEGRADATION_HELP}; flags for single ranges override it",
    )
    add_options(parser, DegradationConfig, skip=_SKIPPED)
    # the default None marks flags that are not given
    parser.set_defaults(**{field.name: None for field in fields(DegradationConfig)})


def run(args: argparse.Namespace) -> int:
    """Write each degraded image, and with ``--hq`` its restoration target, as PNG files, and print the degradation.

    Returns 1 if an image failed, else 0.
    """
    config = replace(
        load_degradation(args.degradation), **given_options_from_args(args, DegradationConfig, skip=_SKIPPED)
    )
    check_seed(args.seed, "--seed")
    if args.hq is not None:
        check_folder(args.hq)

    def outputs_of(target: Path) -> list[Path]:
        return [target, *_hq_files(target, args.output, args.hq)]

    plan = plan_from_args(args, ".png", outputs_of, also_read=[args.degradation])
    seeds = {source: args.seed + index for index, source in enumerate(plan.targets)}

    def degrade(source: Path, target: Path) -> None:
        image = read_image(source, max_pixels=args.max_pixels)
        hq, alpha = split_alpha(image.pixels)
        degradation = sample_degradation(config, min(Size.of(hq)), seeded_generator(seeds[source]))
        pair = apply_degradation(hq, degradation)
        write_image(target, replace(image, pixels=torch.cat((pair.lq, alpha)), bit_depth=8))
        for path in _hq_files(target, args.output, args.hq):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, replace(image, pixels=torch.cat((pair.hq, alpha)), bit_depth=8))
        print(f"{target}: {degradation}")

    result = run_plan("degrading", plan, degrade)
    print(summarize(plan, result), end="")
    return result.exit_code


def _hq_files(target: Path, output: Path, folder: Path | None) -> list[Path]:
    """Return the file in ``folder`` for the restoration target of the degraded image ``target``.

    The list has one file, whose subfolders are those of ``target`` in ``output``. It is empty if ``folder`` is None.
    """
    place = target.relative_to(output) if output in target.parents else Path(target.name)
    return [] if folder is None else [folder / place]
