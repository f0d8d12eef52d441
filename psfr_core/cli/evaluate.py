"""``psfr evaluate``: figures for restored images, and for each of the three models."""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..detection.face import Face
from ..errors import ImageFileError, OptionError
from ..geometry.box import Size
from ..imaging.channels import to_rgb
from ..imaging.io import ImageFile, find_images, read_image, write_image
from ..imaging.resize import resize
from ..paste_back.color_match import ColorMatch, match_colors
from .files import for_each_image
from .model_options import add_model_arguments, take_detector, take_device
from .progress import progress_bar

if TYPE_CHECKING:
    from ..metrics.lpips import Lpips

Row = dict[str, float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options of ``psfr evaluate``."""
    subjects = parser.add_subparsers(dest="subject", required=True)
    settings: dict[str, tuple[str, Callable[[argparse.Namespace], int]]] = {
        "images": ("PSNR, SSIM and LPIPS of a folder of results against a folder of the same names", _images),
        "generator": ("what the generator gains on clean faces degraded with fixed seeds", _generator),
        "parser": ("mean IoU of the parsing network on degraded faces with known labels", _parser),
        "detector": ("faces found and landmark error of a detector, with another one as the reference", _detector),
    }
    for name, (what, run_subject) in settings.items():
        command = subjects.add_parser(name, help=what, description=f"Measures {what}.")
        command.set_defaults(measure=run_subject)
        command.add_argument("--out", type=Path, help="folder for per-image figures (CSV) and the summary (JSON)")
    images, generator, parser_, detector = (subjects.choices[name] for name in settings)
    images.add_argument("results", type=Path, help="folder of restored images")
    images.add_argument("references", type=Path, help="folder of clean images of the same names")
    for command in (images, generator):
        command.add_argument("--features", type=Path, help="AlexNet or VGG-16 weights, for LPIPS")
        command.add_argument("--heads", type=Path, help="LPIPS v0.1 heads that belong to --features")
    for command in (generator, parser_):
        command.add_argument("--faces", type=Path, required=True, help="folder of clean aligned faces")
        command.add_argument("--seed", type=int, default=0, help="of the first degradation; default: 0")
        command.add_argument("--parser", default="parsenet-256", help="default: parsenet-256, bundled")
        command.add_argument("--device", help="default: the best there is")
    generator.add_argument("--generator", default="psfrgan-256", help="default: psfrgan-256, bundled")
    generator.add_argument("--sheet", type=Path, help="write degraded, restored and clean faces side by side")
    parser_.add_argument("--labels", type=Path, required=True, help="folder of label PNGs of the same names")
    detector.add_argument("inputs", nargs="+", metavar="IN", help="images, folders or patterns")
    detector.add_argument("--reference", default="retinaface-mobile0.25", help="detector to compare with")
    add_model_arguments(detector, networks=False)


def run(args: argparse.Namespace) -> int:
    """Measures, prints a table and writes it where asked."""
    return args.measure(args)


def _images(args: argparse.Namespace) -> int:
    for folder in (args.results, args.references):
        if not folder.is_dir():
            raise ImageFileError(f"{folder} is no folder. Give the folder of the results and that of the references.")
    lpips = _lpips(args)
    rows: dict[str, Row] = {}

    def compare(result: Path, reference: Path) -> None:
        if not reference.exists():
            raise ImageFileError(f"it has no reference: {reference} does not exist.")
        images, references = (to_rgb(read_image(path).pixels)[None] for path in (result, reference))
        rows[result.name] = _compare(images, references, lpips)

    pairs = {path: args.references / path.name for path in find_images([args.results])}
    return for_each_image("comparing", pairs, compare) or _report(args, rows)


def _generator(args: argparse.Namespace) -> int:
    from ..parsing.parser import parse_faces
    from ..restoration.enhance import enhance_faces
    from ..weights.loader import load_generator, load_parse_net

    lpips = _lpips(args)
    device = take_device(args)
    generator, parse_net = load_generator(args.generator).to(device), load_parse_net(args.parser).to(device)
    rows: dict[str, Row] = {}
    strips: list[Tensor] = []
    for name, lq, hq in _degraded_faces(args, generator.config.size):
        restored = enhance_faces(lq.to(device), parse_faces(lq.to(device), parse_net), generator).cpu()
        matched = match_colors(restored, lq, ColorMatch.LOW_FREQUENCY)
        pictures = {"before": lq, "generator": restored, "color_matched": matched}
        rows[name] = {
            f"{key}_{stage}": value
            for stage, picture in pictures.items()
            for key, value in _compare(picture, hq, lpips).items()
        }
        if args.sheet:
            strips.append(torch.cat([lq, matched, hq], dim=3)[0].clamp(0, 1))
    if args.sheet:
        write_image(args.sheet, ImageFile(torch.cat(strips, dim=1)))
    return _report(args, rows)


def _parser(args: argparse.Namespace) -> int:
    from ..metrics.parsing_iou import ConfusionMatrix, mean_iou
    from ..parsing.labels import MEASURED_REGIONS, RegionGroup
    from ..parsing.parse_map import ParseMap
    from ..parsing.parser import parse_faces
    from ..weights.loader import load_parse_net

    device = take_device(args)
    parse_net = load_parse_net(args.parser).to(device)
    total = ConfusionMatrix.empty()
    for name, lq, _ in _degraded_faces(args, parse_net.config.size):
        true = ParseMap.from_png(args.labels / f"{name}.png").resized(Size.of(lq))
        total += ConfusionMatrix.of(parse_faces(lq.to(device), parse_net).labels.cpu(), true.labels)
    pairs = (RegionGroup.EYES, RegionGroup.BROWS, RegionGroup.LIPS)
    row = {region.name.lower(): total.iou(region) for region in sorted(MEASURED_REGIONS)}
    row |= {group.value: total.iou(*group.regions) for group in pairs}
    in_pairs = {region.name.lower() for group in pairs for region in group.regions}
    merged = [iou for name, iou in row.items() if name not in in_pairs]
    row = {
        "mean_iou": mean_iou(total, MEASURED_REGIONS),
        "mean_iou_pairs_merged": sum(merged) / len(merged),
        "accuracy": total.accuracy,
    } | row
    return _report(args, {"all": row})


def _detector(args: argparse.Namespace) -> int:
    from ..detection.load import load_detector

    detector = take_detector(args)
    reference = load_detector(args.reference, folders=args.models_folder, device=take_device(args))
    rows: dict[str, Row] = {}
    paths = find_images(args.inputs)
    with progress_bar("detecting", unit="image") as show:
        for done, path in enumerate(paths, start=1):
            image = to_rgb(read_image(path).pixels)[None]
            rows[str(path)] = match_faces(detector.detect(image)[0], reference.detect(image)[0])
            show(done, len(paths))
    return _report(args, rows)


def match_faces(found: Sequence[Face], expected: Sequence[Face]) -> Row:
    """Found faces against expected ones; the error is the mean distance of landmarks in eye distances of the expected."""
    rest = list(found)
    errors: list[float] = []
    for face in expected:
        if not rest:
            break
        error, nearest = min(((_landmark_error(other, face), index) for index, other in enumerate(rest)))
        if error < 1:
            rest.pop(nearest)
            errors.append(error)
    row: Row = {
        "found": len(found),
        "expected": len(expected),
        "missed": len(expected) - len(errors),
        "extra": len(rest),
    }
    return row | {"landmark_error": sum(errors) / len(errors) if errors else float("nan")}


def _landmark_error(face: Face, expected: Face) -> float:
    return float((face.landmarks - expected.landmarks).norm(dim=1).mean()) / max(expected.eye_distance, 1.0)


def _degraded_faces(args: argparse.Namespace, size: int):  # noqa: ANN202
    """Name, degraded and clean face (1, 3, S, S) of each file; the seed of the n-th is ``args.seed`` + n."""
    from ..degradation.config import DegradationConfig
    from ..degradation.pipeline import degrade

    paths = find_images([args.faces])
    with progress_bar("measuring", unit="face") as show:
        for index, path in enumerate(paths):
            clean = resize(to_rgb(read_image(path).pixels), Size(size, size)).clamp(0, 1)
            pair = degrade(clean, DegradationConfig(), torch.Generator().manual_seed(args.seed + index))
            yield path.stem, pair.lq[None], pair.hq[None]
            show(index + 1, len(paths))


def _lpips(args: argparse.Namespace) -> Lpips | None:
    from ..metrics.lpips import load_lpips

    if not args.features and not args.heads:
        return None
    if not args.features or not args.heads:
        raise OptionError("LPIPS needs both --features and --heads; one of them is missing.")
    return load_lpips(args.features, args.heads)


def _compare(images: Tensor, references: Tensor, lpips: Lpips | None) -> Row:
    from ..metrics.psnr import psnr
    from ..metrics.ssim import ssim

    row = {"psnr": float(psnr(images, references)), "ssim": float(ssim(images, references))}
    if lpips is not None:
        with torch.no_grad():
            row["lpips"] = float(lpips(images, references))
    return row


def _report(args: argparse.Namespace, rows: dict[str, Row]) -> int:
    columns = list(next(iter(rows.values())))
    values = torch.tensor([[row[column] for column in columns] for row in rows.values()], dtype=torch.float64)
    means = dict(zip(columns, values.nanmean(0).tolist(), strict=True))
    print(f"| mean of {len(rows)} | " + " | ".join(columns) + " |")
    print("|" + " --- |" * (len(columns) + 1))
    print("| | " + " | ".join(f"{means[column]:.4f}" for column in columns) + " |")
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        finite = {column: mean if math.isfinite(mean) else None for column, mean in means.items()}  # JSON has no NaN
        (args.out / "summary.json").write_text(json.dumps({"count": len(rows), "mean": finite}, indent=2) + "\n")
        with (args.out / "images.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["name", *columns])
            writer.writerows([name, *(row[column] for column in columns)] for name, row in rows.items())
    return 0
