"""``psfr detect``: detect faces, and write JSON files and images with boxes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..faces.face import Face
from ..faces.selection import SelectionOptions, select_faces
from ..files import write_text
from ..images.box import Size
from ..images.channels import to_rgb
from ..images.io import ImageFile, read_image, write_image
from ..visualize import draw_faces
from .batch import run_plan, summarize
from .console import count_of
from .model_options import add_detector_arguments, detector_from_args
from .option_flags import add_options, options_from_args
from .plan import add_file_arguments, plan_from_args

_SKIPPED = ("indices",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``psfr detect``."""
    add_file_arguments(parser, "output folder for NAME.json and NAME.png")
    add_options(parser, SelectionOptions, skip=_SKIPPED)
    add_detector_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Detect faces in all images. Return 1 if an image failed, else 0."""
    selection = options_from_args(args, SelectionOptions, skip=_SKIPPED)
    plan = plan_from_args(args, ".png", lambda target: [target, _json(target)], also_read=[args.detector])
    detector = detector_from_args(args)

    def detect(source: Path, target: Path) -> int:
        photo = read_image(source, max_pixels=args.max_pixels)
        image = to_rgb(photo.pixels)
        faces = select_faces(detector.detect(image[None])[0], Size.of(image), selection)
        write_image(target, ImageFile(draw_faces(image, faces), icc_profile=photo.icc_profile))
        found = json.dumps(_as_json(Size.of(image), faces), indent=2) + "\n"
        write_text(_json(target), found)
        return len(faces)

    result = run_plan("detecting", plan, detect)
    print(f"{count_of(result.face_count, 'face')} found in {count_of(len(result.faces), 'image')}: {args.output}")
    print(summarize(plan, result), end="")
    return result.exit_code


def _json(image: Path) -> Path:
    return image.with_suffix(".json")


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
