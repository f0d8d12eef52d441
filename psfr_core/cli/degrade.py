"""``psfr degrade``: pictures made bad in the way a restorer is trained on."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..degradation.config import DegradationConfig
from ..degradation.pipeline import apply_degradation, sample_degradation
from ..errors import ImageFileError, OptionError, PsfrError
from ..geometry.box import Size
from ..imaging.io import find_images, read_image, write_image
from .options import add_options, take_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of ``psfr degrade``."""
    parser.add_argument("inputs", nargs="+", metavar="IN", help="image files, folders or patterns")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="where the PNG files go")
    parser.add_argument(
        "--hq", type=Path, metavar="DIR", help="also write what each should become: grey where its colour was taken"
    )
    parser.add_argument("--seed", type=int, default=0, help="the first picture's; each further one adds 1 (default: 0)")
    add_options(parser, DegradationConfig)


def run(args: argparse.Namespace) -> int:
    """Writes a PNG file for each picture and prints what was done to it; 1 when a picture failed."""
    config = take_options(args, DegradationConfig)
    if args.hq is not None and args.hq.resolve() == args.output.resolve():
        raise OptionError(f"--hq and --output are the same folder, {args.output}. Give two.")
    sources = find_images(args.inputs)
    targets = _targets(sources, args.output)
    failed = False
    for index, (source, target) in enumerate(zip(sources, targets, strict=True)):
        hq_target = None if args.hq is None else args.hq / target.name
        try:
            print(f"{target}: {_degrade_file(source, target, hq_target, config, args.seed + index)}")
        except PsfrError as error:
            print(f"psfr degrade: {error}", file=sys.stderr)
            failed = True
    return int(failed)


def _targets(sources: list[Path], folder: Path) -> list[Path]:
    targets = [folder / f"{source.stem}.png" for source in sources]
    repeated = [source for source, target in zip(sources, targets, strict=True) if targets.count(target) > 1]
    if repeated:
        raise OptionError(
            f"{repeated[0]} and {repeated[1]} would both become {folder / repeated[0].stem}.png. Rename one."
        )
    return targets


def _degrade_file(source: Path, target: Path, hq_target: Path | None, config: DegradationConfig, seed: int) -> str:
    for path in (target, hq_target):
        if path is not None and path.resolve() == source.resolve():
            raise ImageFileError(f"{path} is an input and is not overwritten. Choose another folder.")
    image = read_image(source)
    hq, alpha = _color_and_alpha(image.pixels)
    degradation = sample_degradation(config, min(Size.of(hq)), torch.Generator().manual_seed(seed))
    pair = apply_degradation(hq, degradation)
    for path, pixels in ((target, pair.lq), (hq_target, pair.hq)):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, replace(image, pixels=torch.cat((pixels, alpha)), bit_depth=8))
    return str(degradation)


def _color_and_alpha(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """The colours (3, H, W), also of grey pictures, and the alpha channel (0 or 1, H, W)."""
    colors = 1 if len(pixels) <= 2 else 3
    return pixels[:colors].expand(3, -1, -1), pixels[colors:]
