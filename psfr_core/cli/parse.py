"""``psfr parse``: the regions of faces as label and colour pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..alignment.align import align_faces
from ..checks import check_shape
from ..errors import OptionError
from ..geometry.box import Size
from ..imaging.channels import to_rgb
from ..imaging.io import ImageFile, read_image, write_image
from ..imaging.resize import resize
from ..networks.inference.optimize import fastest_dtype, optimized_on
from ..parsing.parser import parse_faces
from ..restoration.models import BUNDLED_PARSE_NET
from ..weights.loader import load_parse_net
from .files import for_each_image, plan_outputs
from .model_options import add_detector_arguments, take_detector, take_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of ``psfr parse``."""
    parser.add_argument("inputs", nargs="+", metavar="IN", help="image files, folders or patterns")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the pictures")
    parser.add_argument("--aligned", action="store_true", help="the images are aligned faces already: one map an image")
    parser.add_argument("--size", type=int, help="side of the maps in pixels; default: the parsing network's")
    parser.add_argument(
        "--parser", default=BUNDLED_PARSE_NET, help=f"name or file; default: {BUNDLED_PARSE_NET}, bundled"
    )
    add_detector_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Parses the faces of all images; 1 when some failed.

    Writes NAME.png and NAME_color.png for an aligned face, else NAME_0.png, NAME_0_crop.png, NAME_0_color.png for each face.
    """
    if args.size is not None and args.size < 1:
        raise OptionError(f"--size must be at least 1 pixel, got {args.size}.")
    plan = plan_outputs(
        args.inputs, args.output, ".png", lambda target: [target, _colours(target)] if args.aligned else [target]
    )
    device = take_device(args)
    parse_net = load_parse_net(args.parser, folders=args.models_folder, download=args.download)
    parse_net = optimized_on(parse_net, device, fastest_dtype(device))
    size = args.size or parse_net.config.size
    detector = None if args.aligned else take_detector(args)
    written: list[Path] = []

    def parse(source: Path, target: Path) -> None:
        photo = read_image(source)
        image = to_rgb(photo.pixels)
        if detector is None:
            check_shape(image, "3 S S", "an aligned face")
            crops = {target: resize(image, Size(size, size)).clamp(0, 1)}
        else:
            faces = align_faces(image, detector.detect(image[None])[0], size)
            crops = {target.with_name(f"{target.stem}_{n}.png"): face.crop for n, face in enumerate(faces)}
        for path, crop in crops.items():
            parse_map = parse_faces(crop[None].to(device), parse_net)
            parse_map.to_png(path)
            write_image(_colours(path), ImageFile(parse_map.to_color()[0]))
            if detector is not None:
                write_image(path.with_name(f"{path.stem}_crop.png"), ImageFile(crop, icc_profile=photo.icc_profile))
            written.append(path)

    code = for_each_image("parsing", plan, parse)
    print(f"{len(written)} faces parsed: {args.output}")
    return code


def _colours(labels: Path) -> Path:
    return labels.with_name(f"{labels.stem}_color.png")
