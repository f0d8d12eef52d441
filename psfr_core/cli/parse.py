"""``psfr parse``: the regions of faces as label and colour pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ..alignment.align import align_faces
from ..geometry.box import Size
from ..imaging.channels import to_rgb
from ..imaging.io import ImageFile, read_image, write_image
from ..imaging.resize import resize
from ..parsing.parser import parse_faces
from .files import for_each_image, plan_outputs
from .model_options import add_model_arguments, take_detector, take_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of ``psfr parse``."""
    parser.add_argument("inputs", nargs="+", metavar="IN", help="image files, folders or patterns")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the pictures")
    parser.add_argument("--aligned", action="store_true", help="the images are aligned faces already: one map an image")
    parser.add_argument("--size", type=int, help="side of the maps in pixels; default: the parsing network's")
    parser.add_argument("--parser", default="parsenet-256", help="name or file; default: parsenet-256, bundled")
    add_model_arguments(parser, networks=False)


def run(args: argparse.Namespace) -> int:
    """Parses the faces of all images; 1 when some failed.

    Writes NAME.png and NAME_color.png for an aligned face, else NAME_0.png, NAME_0_crop.png, NAME_0_color.png for each face.
    """
    from ..weights.loader import load_parse_net

    device = take_device(args)
    parse_net = load_parse_net(args.parser, folders=args.models_folder, download=args.download).to(device)
    size = args.size or parse_net.config.size
    detector = None if args.aligned else take_detector(args)

    def parse(source: Path, target: Path) -> None:
        image = to_rgb(read_image(source).pixels)
        if detector is None:
            crops, names = resize(image, Size(size, size)).clamp(0, 1)[None], [target.stem]
        else:
            aligned = align_faces(image, detector.detect(image[None])[0], size)
            crops, names = [face.crop for face in aligned], [f"{target.stem}_{n}" for n in range(len(aligned))]
        for crop, name in zip(crops, names, strict=True):
            parse_map = parse_faces(crop[None].to(device), parse_net)
            parse_map.to_png(target.with_name(f"{name}.png"))
            write_image(target.with_name(f"{name}_color.png"), ImageFile(parse_map.to_color()[0]))
            if detector is not None:
                write_image(target.with_name(f"{name}_crop.png"), ImageFile(crop))

    with torch.no_grad():
        return for_each_image("parsing", plan_outputs(args.inputs, args.output, ".png"), parse)
