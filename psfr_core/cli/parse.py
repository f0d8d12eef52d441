"""``psfr parse``: label the regions of faces, and write label and color images."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path

from ..checks import check_shape
from ..faces.align import align_faces
from ..images.box import Size
from ..images.channels import to_rgb
from ..images.io import ImageFile, read_image, write_image
from ..images.resize import resize
from ..models.loader import load_parse_net
from ..networks.inference.optimize import fastest_dtype, optimized_on
from ..options import check_value
from ..parsing.parser import parse_faces
from ..restoration.restoration_models import BUNDLED_PARSE_NET
from .batch import run_plan, summarize
from .console import count_of
from .model_options import add_detector_arguments, detector_from_args, device_from_args, folders_from_args
from .option_flags import MAX_SIDE
from .plan import add_file_arguments, check_overwrites, plan_from_args

_FACE_FILE = re.compile(r"(?P<stem>.+)_[0-9]+(_crop|_color)?\.png", re.IGNORECASE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``psfr parse``."""
    add_file_arguments(parser, "output folder for label and color images")
    parser.add_argument(
        "--aligned", action="store_true", help="treat each image, which must be square, as one aligned face"
    )
    parser.add_argument(
        "--size",
        type=int,
        help=f"side of the parse maps in pixels, 1 to {MAX_SIDE}; default: the size of the parsing network",
    )
    parser.add_argument(
        "--parser",
        default=BUNDLED_PARSE_NET,
        help=f"name or file of the parsing network; default: {BUNDLED_PARSE_NET} (bundled)",
    )
    add_detector_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Parse the faces in all images. Return 1 if an image failed, else 0.

    With ``--aligned``, each image gives NAME.png and NAME_color.png. Otherwise, the first face of an image gives NAME_0.png,
    NAME_0_crop.png and NAME_0_color.png, and the next faces give NAME_1.png and so on.
    """
    if args.size is not None:
        check_value("--size", args.size, int, low=1, high=MAX_SIDE)
    plan = plan_from_args(
        args,
        ".png",
        lambda target: [target, _color_path(target)] if args.aligned else _files_of_face(_face_path(target, 0)),
        also_read=[args.parser, args.detector],
    )
    check_overwrites(_existing_face_files(plan.targets.values()), plan.targets)
    device = device_from_args(args)
    parse_net = load_parse_net(args.parser, folders=folders_from_args(args), download=args.download)
    parse_net = optimized_on(parse_net, device, fastest_dtype(device))
    size = args.size or parse_net.config.size
    detector = None if args.aligned else detector_from_args(args, parse_net)

    def parse(source: Path, target: Path) -> int:
        photo = read_image(source, max_pixels=args.max_pixels)
        image = to_rgb(photo.pixels)
        if detector is None:
            check_shape(image, "3 S S", "an aligned face")
            crops = {target: resize(image, Size(size, size)).clamp(0, 1)}
        else:
            faces = align_faces(image, detector.detect(image[None])[0], size)
            crops = {_face_path(target, n): face.crop for n, face in enumerate(faces)}
        for path, crop in reversed(crops.items()):  # --resume checks the first face, so it is written last
            parse_map = parse_faces(crop[None].to(device), parse_net)
            parse_map.to_png(path)
            write_image(_color_path(path), ImageFile(parse_map.to_color()[0]))
            if detector is not None:
                write_image(_crop_path(path), ImageFile(crop, icc_profile=photo.icc_profile))
        return len(crops)

    result = run_plan("parsing", plan, parse)
    print(f"{count_of(result.face_count, 'face')} parsed: {args.output}")
    print(summarize(plan, result), end="")
    return result.exit_code


def _existing_face_files(targets: Iterable[Path]) -> list[Path]:
    """Return the existing files that the faces of the images with these ``targets`` may overwrite."""
    stems = {target.with_suffix("") for target in targets}
    paths = [path for folder in {stem.parent for stem in stems} if folder.is_dir() for path in folder.iterdir()]
    names = [(path, _FACE_FILE.fullmatch(path.name)) for path in paths]
    return [path for path, name in names if name and path.with_name(name["stem"]) in stems]


def _files_of_face(labels: Path) -> list[Path]:
    return [labels, _color_path(labels), _crop_path(labels)]


def _face_path(target: Path, number: int) -> Path:
    return target.with_name(f"{target.stem}_{number}.png")


def _crop_path(labels: Path) -> Path:
    return labels.with_name(f"{labels.stem}_crop.png")


def _color_path(labels: Path) -> Path:
    return labels.with_name(f"{labels.stem}_color.png")
