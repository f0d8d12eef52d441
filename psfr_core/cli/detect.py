"""``psfr detect``: faces as JSON, and pictures with their boxes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..detection.face import Face
from ..detection.selection import SelectionOptions, select_faces
from ..files import write_whole
from ..geometry.box import Size
from ..imaging.channels import to_rgb
from ..imaging.io import ImageFile, read_image, write_image
from ..visualize import draw_faces
from .files import for_each_image, plan_outputs
from .model_options import add_detector_arguments, take_detector
from .options import add_options, take_options

_SKIPPED = ("min_score", "indices")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of ``psfr detect``."""
    parser.add_argument("inputs", nargs="+", metavar="IN", help="image files, folders or patterns")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="folder for NAME.json and NAME.png"
    )
    add_options(parser, SelectionOptions, skip=_SKIPPED)
    add_detector_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Detects faces in all images; 1 when some failed."""
    selection = take_options(args, SelectionOptions, skip=_SKIPPED)
    plan = plan_outputs(args.inputs, args.output, ".png")
    detector = take_detector(args)
    counts: list[int] = []

    def detect(source: Path, target: Path) -> None:
        photo = read_image(source)
        image = to_rgb(photo.pixels)
        faces = select_faces(detector.detect(image[None])[0], Size.of(image), selection)
        write_image(target, ImageFile(draw_faces(image, faces), icc_profile=photo.icc_profile))
        found = json.dumps(_as_json(Size.of(image), faces), indent=2) + "\n"
        write_whole(target.with_suffix(".json"), found.encode())
        counts.append(len(faces))

    code = for_each_image("detecting", plan, detect)
    print(f"{sum(counts)} faces found in {len(counts)} images: {args.output}")
    return code


def _as_json(size: Size, faces: list[Face]) -> dict[str, Any]:
    return {
        "width": size.width,
        "height": size.height,
        "faces": [
            {
                "score": round(face.score, 4),
                "box": dict(zip(face.box._fields, (round(side, 2) for side in face.box), strict=True)),
                "landmarks": [[round(x, 2), round(y, 2)] for x, y in face.landmarks.tolist()],
            }
            for face in faces
        ],
    }
