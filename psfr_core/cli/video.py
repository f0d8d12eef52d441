"""Restore videos with ``psfr restore``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

from ..errors import ImageFileError, OptionError
from ..images.folders import FoundImages, search_images, sort_frames
from ..images.formats import WRITABLE_SUFFIXES
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore_options import RestoreOptions
from ..url_path import parse_location
from ..video.encoding import EncodingOptions, check_target
from ..video.frame_images import is_numbered, numbered_path
from ..video.restore_image_files import DEFAULT_RATE, restore_image_files, restore_images_to_video
from ..video.restore_in_segments import SEGMENT_FRAMES, RunSegments, restore_in_segments
from ..video.restore_video import VideoResult, restore_video
from ..video.restore_video_to_images import restore_video_to_images
from ..video.tracks import TrackOptions
from ..video.video_formats import is_video, muxer_of
from ..video.video_options import VideoOptions, VideoProgress, VideoStep
from .console import count_of, describe_error, progress_bar, report
from .option_flags import add_options, options_from_args
from .plan import Plan, check_folder, check_overwrites

_SKIPPED = ("tracks", "encoding")  # their fields have separate flags
_MAX_DENOMINATOR = 1001  # of frame rates; NTSC rates such as 30000/1001 need it
_MAX_RATE = 1000  # frames per second; containers round times to milliseconds or finer units
_DEFAULT_SUFFIX = ".mkv"  # suffix of a result if videos with the suffix of the input cannot be written


def add_video_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags for videos."""
    parser.add_argument(
        "--one-video",
        action="store_true",
        help="treat the images as successive frames of one video, in the order of their names and numbers, and follow faces over "
        "them; an output such as out.mp4 writes a video",
    )
    parser.add_argument(
        "--segment-frames",
        type=int,
        default=SEGMENT_FRAMES,
        metavar="N",
        help=f"frames per segment of a video with --resume or --ray; default: {SEGMENT_FRAMES}",
    )
    parser.add_argument(
        "--fps",
        type=_rate,
        default=DEFAULT_RATE,
        metavar="N",
        help=f"frames per second of a video from images (--one-video), such as 23.976 or 30000/1001; default: {DEFAULT_RATE}",
    )
    add_options(parser, VideoOptions, skip=_SKIPPED)
    add_options(parser, TrackOptions)
    add_options(parser, EncodingOptions)


def _rate(text: str) -> Fraction:
    """Parse a number of frames per second, and round it to a fraction with a denominator of at most 1001."""
    try:
        rate = Fraction(text).limit_denominator(_MAX_DENOMINATOR)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not Fraction(1, _MAX_DENOMINATOR) <= rate <= _MAX_RATE:
        raise argparse.ArgumentTypeError(f"must be a number from 0.001 to {_MAX_RATE}, got {text}")
    return rate


def check_no_encoding(args: argparse.Namespace) -> None:
    """Raise OptionError if a flag for the encoding of videos is set. Call this if no video is written."""
    if options_from_args(args, EncodingOptions) != EncodingOptions():
        raise OptionError(
            "--codec, --quality, --lossless and --pixel-format apply only to videos, but images are written."
        )


def video_options_from_args(args: argparse.Namespace) -> VideoOptions:
    """Return the video options that the flags select."""
    return replace(
        options_from_args(args, VideoOptions, skip=_SKIPPED),
        tracks=options_from_args(args, TrackOptions),
        encoding=options_from_args(args, EncodingOptions),
    )


def search_frames(args: argparse.Namespace, leave_out: Path | None = None) -> FoundImages[Path]:
    """Find the images of one video in local files and folders, and sort them by name and number."""
    paths = [Path(parse_location(entry)) for entry in args.inputs]
    return sort_frames(search_images(paths, recursive=args.recursive, leave_out=leave_out))


def find_videos(inputs: Sequence[str]) -> list[Path]:
    """Return the videos in ``inputs``, with expanded patterns. Raise OptionError if only some inputs are videos."""
    videos = [entry for entry in inputs if is_video(entry)]
    others = [entry for entry in inputs if not is_video(entry)]
    if videos and others:
        raise OptionError(
            f"{videos[0]} is a video, but {others[0]} is not. Restore videos and images with separate commands."
        )
    return [path for entry in videos for path in _expanded(Path(parse_location(entry)))]


def restore_videos(
    videos: Sequence[Path],
    args: argparse.Namespace,
    options: RestoreOptions,
    models: RestorationModels,
    run_segments: RunSegments | None = None,
) -> int:
    """Restore all videos, and continue after failures, which are reported. Return 1 if a video failed, else 0.

    ``run_segments`` restores segments of the videos elsewhere; None restores the videos in this process. Raises OptionError for
    arguments that do not apply to videos, and for targets that cannot be written or would overwrite an input.
    """
    if args.compare or args.format or args.report:
        raise OptionError(
            "--compare, --format and --report are for images. The suffix of the output chooses the format of a video."
        )
    video = video_options_from_args(args)
    targets = _image_targets(videos, args) if is_numbered(args.output) else _targets(videos, args.output)
    check_overwrites(targets.values(), [*targets, *_files(args.generator, args.parser, args.detector)])
    failed = 0
    restore = _restorer(args, run_segments)
    for source, target in targets.items():
        if args.resume and target.is_file():
            print(f"{source}: skipped, because the result {target} exists")
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with _progress() as progress:
                result = restore(source, target, models, options, video, progress=progress)
        except Exception as error:
            failed += 1
            report(f"{source}: {describe_error(error)}")
        else:
            print(_describe(source, target, result))
    return 1 if failed else 0


def _restorer(args: argparse.Namespace, run_segments: RunSegments | None) -> Callable[..., VideoResult]:
    if is_numbered(args.output):
        return restore_video_to_images
    in_segments = partial(restore_in_segments, segment_frames=args.segment_frames, run=run_segments)
    return in_segments if args.resume or run_segments else restore_video


def _image_targets(videos: Sequence[Path], args: argparse.Namespace) -> dict[Path, Path]:
    """Map the only video to the pattern of its images.

    Raises OptionError for several videos, for ``--resume`` and ``--ray``, and for an output that cannot be written.
    """
    output: Path = args.output
    if len(videos) > 1 or args.resume or args.ray is not None:
        raise OptionError(
            f"{output} is for the images of one video, without --resume and --ray. Restore the videos one by one."
        )
    first = numbered_path(output, 1)
    if first.suffix.lower() not in WRITABLE_SUFFIXES:
        raise OptionError(
            f"{output}: images are written as {', '.join(WRITABLE_SUFFIXES)}. Choose one of these suffixes."
        )
    check_folder(output.parent)
    return {videos[0]: output}


def restore_images_as_video(args: argparse.Namespace, options: RestoreOptions, models: RestorationModels) -> int:
    """Restore the images in ``args.inputs`` as the frames of the video file ``args.output``; return 0.

    Raises OptionError for arguments that do not apply, and for an output that cannot be written or would overwrite an input, and
    ImageFileError if an input is missing or cannot be read.
    """
    if args.compare or args.report or args.resume or args.format:
        raise OptionError("--compare, --report, --format and --resume do not apply to a video from images.")
    found = search_frames(args)
    _check_complete(found)
    check_target(args.output)
    check_folder(args.output.parent)
    check_overwrites([args.output], [*found.images, *_files(args.generator, args.parser, args.detector)])
    args.output.parent.mkdir(parents=True, exist_ok=True)
    with _progress() as progress:
        result = restore_images_to_video(
            list(found.images),
            args.output,
            models,
            options,
            video_options_from_args(args),
            rate=args.fps,
            max_pixels=args.max_pixels,
            progress=progress,
        )
    print(_describe(count_of(result.frame_count, "image"), args.output, result))
    return 0


def restore_image_sequence(
    plan: Plan[Path], args: argparse.Namespace, options: RestoreOptions, models: RestorationModels
) -> int:
    """Restore all images of ``plan`` as the frames of one video, and write them as images; return 0.

    Raises OptionError for arguments that do not apply, and ImageFileError if an input is missing or cannot be read.
    """
    if args.compare or args.report or args.resume:
        raise OptionError(
            "--compare, --report and --resume are for images that are restored one by one, without --one-video."
        )
    _check_complete(plan.found)
    with _progress() as progress:
        result = restore_image_files(
            plan.targets, models, options, video_options_from_args(args), max_pixels=args.max_pixels, progress=progress
        )
    print(_describe(count_of(result.frame_count, "image"), args.output, result))
    return 0


def _check_complete(found: FoundImages[Path]) -> None:
    """Raise ImageFileError for inputs that are missing or cannot be read, because the video would lack their frames."""
    problems = [*found.failures.values(), *(f"{path}: {reason}" for path, reason in found.skipped.items())]
    if problems:
        raise ImageFileError(
            "\n".join([*problems, "A video needs all its frames. Repair these files, or name only the other files."])
        )


def _expanded(path: Path) -> list[Path]:
    return [path] if path.exists() else sorted(path.parent.glob(path.name)) or [path]


def _files(*names: str | None) -> list[Path]:
    return [Path(name) for name in names if name is not None]


def _targets(videos: Sequence[Path], output: Path) -> dict[Path, Path]:
    """Map each video to the file of its result.

    Raises OptionError if ``output`` is neither a folder nor a file for one video, or if two results would have the same name.
    """
    if is_video(output) and not output.is_dir():
        if len(videos) > 1:
            raise OptionError(f"{output} is one file, but there are {len(videos)} videos. Use a folder.")
        check_target(output)
        check_folder(output.parent)
        return {videos[0]: output}
    if output.suffix.lower() in WRITABLE_SUFFIXES and not output.is_dir():
        raise OptionError(
            f"{output} is one image, but the input is a video. Write its frames to images with a placeholder for the number, "
            f"such as %06d{output.suffix}, or name a video file or a folder."
        )
    if output.suffix and not output.is_dir():
        check_target(output)  # its error lists the suffixes that can be written
    check_folder(output)
    targets = {video: output / _name(video) for video in videos}
    if len({str(target).casefold() for target in targets.values()}) < len(targets):
        raise OptionError(
            "Some videos have the same name, so their results would have the same name. Restore them into different folders."
        )
    return targets


def _name(video: Path) -> str:
    return video.name if muxer_of(video) else f"{video.stem}{_DEFAULT_SUFFIX}"


def _describe(source: Path | str, target: Path, result: VideoResult) -> str:
    faces, frames = count_of(result.face_count, "face"), count_of(result.frame_count, "frame")
    shots = count_of(result.shot_count, "shot")
    line = f"{source}: {faces} in {frames} and {shots}: {target}"
    return f"{line}\n{source}: {result.damage}; the rest was restored" if result.damage else line


@contextmanager
def _progress() -> Generator[VideoProgress]:
    """Yield a function that shows a progress bar for each step."""
    with ExitStack() as bars:
        shown: dict[VideoStep, Callable[[int, int], None]] = {}

        def show(step: VideoStep, done: int, total: int) -> None:
            if step not in shown:
                bars.close()  # close the bar of the previous step
                shown[step] = bars.enter_context(progress_bar(step.value, unit="frame"))
            shown[step](done, total)

        yield show
