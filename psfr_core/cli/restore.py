"""``psfr restore``: restore the faces in images and videos."""

from __future__ import annotations

import argparse
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..bulk.ray_cluster import RayOptions
from ..bulk.report import Report, open_report
from ..bulk.restore_files import FileJob, FileResult, restore_files, save_result
from ..errors import OptionError
from ..faces.selection import SelectionOptions, parse_indices
from ..images.channels import to_rgb
from ..images.folders import P
from ..images.formats import WRITABLE_SUFFIXES
from ..images.io import ImageFile, write_image
from ..images.url_folders import search_locations
from ..parsing.labels import REGION_NAMES
from ..restoration.paste_options import PASTED_REGION_NAMES, PasteOptions, parse_pasted_regions
from ..restoration.region_strengths import PART_NAMES, parse_region_strengths
from ..restoration.restore import RestorationResult
from ..restoration.restore_options import RestoreOptions
from ..url_path import Location, UrlPath
from ..video.video_formats import is_video
from ..visualize import side_by_side
from .batch import Outcome, collect, summarize
from .console import count_of
from .model_options import add_model_arguments, models_from_args
from .option_flags import add_options, options_from_args
from .plan import Plan, add_file_arguments, check_folder, check_overwrites, location, plan_outputs
from .ray_arguments import add_ray_arguments, ray_options_from_args, ray_results, ray_segments, refuse_urls
from .video import (
    add_video_arguments,
    check_no_encoding,
    find_videos,
    restore_image_sequence,
    restore_images_as_video,
    restore_videos,
    search_frames,
)

_SKIPPED_SELECTION = ("indices",)  # parsed from text
_SKIPPED_PASTE = ("regions", "strengths")  # parsed from text
_SKIPPED_RESTORE = ("detection", "selection", "paste")  # have their own flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``psfr restore``."""
    add_file_arguments(
        parser,
        "output folder, or a file for one image or video; images may be stored at a URL; a name such as frames/%%06d.png "
        "writes the frames of a video as images",
        "skip images and videos whose results already exist; restore videos in segments, and continue interrupted ones",
        inputs="image files, folders, or patterns such as 'photos/*.jpg'; URLs such as s3://bucket/photos; or video files",
        output_type=location,
    )
    parser.add_argument(
        "--format",
        choices=[s[1:] for s in WRITABLE_SUFFIXES],
        help="format of the results; default: the suffix of an output file, else webp for WebP images and png for others, both "
        "lossless",
    )
    parser.add_argument(
        "--compare", action="store_true", help="also write NAME_compare.png with the image before and after"
    )
    parser.add_argument(
        "--indices",
        default="",
        help="faces to restore, numbered from 0 in the order of --order, such as '0,2,4-6', '1-' (1 and all later faces) or '-1' "
        "(the last face); default: all",
    )
    parser.add_argument(
        "--regions",
        help=f"comma-separated regions to paste back, out of {', '.join(REGION_NAMES)}; or only 'all' for the whole crop; default: "
        f"{PASTED_REGION_NAMES}",
    )
    parser.add_argument(
        "--region-strengths",
        help=f"blend strengths, 0 to 1, of {', '.join(PART_NAMES)}, such as 'eyes=0.5,hair=0'; 0 keeps the middle of the part, "
        "and its edge is blended; default: 1 for all parts",
    )
    parser.add_argument(
        "--report",
        type=location,
        metavar="FILE.jsonl",
        help="append a line of JSON to this file for each image, with file, target, number of faces, seconds and error",
    )
    add_options(parser, RestoreOptions, skip=_SKIPPED_RESTORE)
    add_options(parser, SelectionOptions, skip=_SKIPPED_SELECTION)
    add_options(parser, PasteOptions, skip=_SKIPPED_PASTE)
    add_ray_arguments(parser)
    add_video_arguments(parser)
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Restore all images or videos. Return 1 if a file failed, otherwise 0."""
    options, ray = _options(args), ray_options_from_args(args)
    if videos := find_videos(args.inputs):
        refuse_urls(args)
        run_segments = None if ray is None else ray_segments(args, ray)
        return restore_videos(videos, args, options, models_from_args(args), run_segments)
    if args.one_video:
        refuse_urls(args)
        if is_video(args.output):
            return restore_images_as_video(args, options, models_from_args(args))
        check_no_encoding(args)
        plan = _plan_sequence(args)
        return restore_image_sequence(plan, args, options, models_from_args(args))
    check_no_encoding(args)
    plan = _plan(args)
    report_file = None if args.report is None else _checked_report(args.report, plan, args)
    jobs = [FileJob(source, target) for source, target in plan.pending_targets.items()]
    with _results(jobs, args, options, ray, report_file) as results:
        result = collect("restoring", plan, map(_outcome, results))
    faces, images = count_of(result.face_count, "face"), count_of(len(result.faces), "image")
    print(f"{faces} restored in {images}: {args.output}")
    print(summarize(plan, result), end="")
    return result.exit_code


def _plan(args: argparse.Namespace) -> Plan[Location]:
    """Find the images on disks and at URLs, and plan the outputs.

    Raises OptionError if the output is a video file, and the errors of ``plan_outputs``.
    """
    if is_video(args.output) and not (isinstance(args.output, Path) and args.output.is_dir()):
        raise OptionError(
            f"{args.output} is the name of a video, but the inputs are images. Use --one-video if they are its frames, or name "
            "a folder."
        )
    return plan_outputs(
        search_locations(args.inputs, recursive=args.recursive, leave_out=args.output),
        args.output,
        _suffix(args),
        lambda target: [target, _comparison(target)] if args.compare else [target],
        resume=args.resume,
        also_read=_model_files(args),
    )


def _plan_sequence(args: argparse.Namespace) -> Plan[Path]:
    """Find the images of a sequence in local folders, and plan the outputs."""
    found = search_frames(args, leave_out=args.output)
    return plan_outputs(found, args.output, _suffix(args), resume=args.resume, also_read=_model_files(args))


def _suffix(args: argparse.Namespace) -> str | None:
    return f".{args.format}" if args.format else None


def _model_files(args: argparse.Namespace) -> list[str | None]:
    return [args.generator, args.parser, args.detector]


@contextmanager
def _results(
    jobs: Sequence[FileJob],
    args: argparse.Namespace,
    options: RestoreOptions,
    ray: RayOptions | None,
    report_file: Path | None,
) -> Generator[Iterable[FileResult]]:
    """Restore ``jobs`` and yield their results, until the end of the block. Each result is added to the report."""
    save = _save_comparison if args.compare else save_result
    with ExitStack() as stack:
        if ray is not None:
            results = stack.enter_context(ray_results(jobs, args, options, ray, save))
            yield _reported(results, stack.enter_context(open_report(report_file)) if report_file else None)
            return
        models = models_from_args(args)
        add = stack.enter_context(open_report(report_file)) if report_file else None
        yield stack.enter_context(
            closing(restore_files(jobs, models, options, max_pixels=args.max_pixels, save=save, on_result=add))
        )


def _reported(results: Iterable[FileResult], add_to_report: Report | None) -> Iterator[FileResult]:
    for result in results:
        if add_to_report is not None:
            add_to_report(result)
        yield result


def _checked_report(file: Location, plan: Plan[Any], args: argparse.Namespace) -> Path:
    if isinstance(file, UrlPath):
        raise OptionError(f"--report {file} is a URL, but reports are written to a disk. Name a local file.")
    check_folder(file.parent)
    results = [*plan.targets.values(), *map(_comparison, plan.targets.values() if args.compare else [])]
    if file.absolute() in (path.absolute() for path in results if isinstance(path, Path)):
        raise OptionError(f"--report {file} is also the name of a result. Choose another name.")
    check_overwrites([file], [*plan.targets, *results, *(Path(name) for name in _model_files(args) if name)])
    return file


def _outcome(result: FileResult) -> Outcome:
    return Outcome(result.job.source, result.faces, result.error)


def _save_comparison(job: FileJob, before: ImageFile, result: RestorationResult) -> None:
    """Write the restored image, and an image that shows the input and the result side by side."""
    save_result(job, before, result)
    comparison = side_by_side([to_rgb(before.pixels), to_rgb(result.image)])
    write_image(_comparison(job.target), ImageFile(comparison, icc_profile=before.icc_profile))


def _comparison(target: P) -> P:
    return target.with_name(f"{target.stem}_compare.png")


def _options(args: argparse.Namespace) -> RestoreOptions:
    selection = options_from_args(args, SelectionOptions, skip=_SKIPPED_SELECTION)
    paste = options_from_args(args, PasteOptions, skip=_SKIPPED_PASTE)
    if args.regions:
        paste = replace(paste, regions=parse_pasted_regions(args.regions))
    if args.region_strengths:
        paste = replace(paste, strengths=parse_region_strengths(args.region_strengths))
    return replace(
        options_from_args(args, RestoreOptions, skip=_SKIPPED_RESTORE),
        selection=replace(selection, indices=parse_indices(args.indices)),
        paste=paste,
    )
