"""Define the flags that restore images and videos with a Ray cluster."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, redirect_stdout
from functools import partial
from pathlib import Path

from ..bulk.ray_cluster import LOCAL, RayOptions
from ..bulk.restore_files import FileJob, FileResult, Save
from ..bulk.restore_with_ray import restore_with_ray
from ..bulk.segments_with_ray import restore_segments_with_ray
from ..errors import OptionError
from ..files import expand_user
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore_options import RestoreOptions
from ..url_path import UrlPath, parse_location
from ..video.restore_in_segments import RunSegments, SegmentJob
from .model_options import models_from_args

_MODEL_FILES = ("generator", "parser", "detector")


def add_ray_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags for a Ray cluster."""
    group = parser.add_argument_group("several machines", "restoration with a Ray cluster")
    group.add_argument(
        "--ray",
        nargs="?",
        const=LOCAL,
        metavar="ADDRESS",
        help="restore images, and segments of videos, with the workers of a Ray cluster at this address, such as auto, "
        "HOST:6379 or ray://HOST:10001; without an address, Ray is started on this machine; write this option after the inputs",
    )
    group.add_argument(
        "--ray-workers",
        type=int,
        metavar="N",
        help="number of workers; default: as many as the GPUs of the cluster hold, or one per CPU core without a GPU",
    )
    group.add_argument(
        "--gpus-per-worker",
        type=float,
        metavar="N",
        help="GPUs per worker, such as 0.25 for four workers on a GPU; default: 1 if the cluster has a GPU, else 0",
    )


def ray_options_from_args(args: argparse.Namespace) -> RayOptions | None:
    """Return the options of the cluster, or None without ``--ray``.

    Raise OptionError for flags that need ``--ray``, and for flags that do not work with it.
    """
    if args.ray is None:
        for flag, value in (("--ray-workers", args.ray_workers), ("--gpus-per-worker", args.gpus_per_worker)):
            if value is not None:
                raise OptionError(f"{flag} needs --ray.")
        return None
    if args.one_video:
        raise OptionError("--one-video does not work with --ray. Write the images into a video file, or omit --ray.")
    if args.device is not None and args.device.startswith("cuda:"):
        raise OptionError(
            f"--device {args.device} does not work with --ray, which chooses the GPU of each worker. Use cuda."
        )
    gpus = 0.0 if args.device == "cpu" and args.gpus_per_worker is None else args.gpus_per_worker
    return RayOptions(args.ray, args.ray_workers, gpus)


def refuse_urls(args: argparse.Namespace) -> None:
    """Raise OptionError for URLs, which do not work with videos."""
    for location in map(parse_location, [*args.inputs, args.output]):
        if isinstance(location, UrlPath):
            raise OptionError(f"{location} is a URL, but videos must be on a disk. Copy them first.")


@contextmanager
def ray_results(
    jobs: Sequence[FileJob], args: argparse.Namespace, options: RestoreOptions, ray: RayOptions, save: Save
) -> Generator[Generator[FileResult]]:
    """Yield the generator of the results of ``restore_with_ray``, and close it afterwards."""
    results = restore_with_ray(jobs, _load(args), options, ray, max_pixels=args.max_pixels, save=save)
    with _without_messages(args), closing(results):
        yield results


def ray_segments(args: argparse.Namespace, ray: RayOptions) -> RunSegments:
    """Return a function that restores segments of videos with Ray."""

    def run(jobs: Sequence[SegmentJob]) -> Iterator[SegmentJob]:
        with _without_messages(args), closing(restore_segments_with_ray(jobs, _load(args), ray)) as finished:
            yield from finished

    return run


@contextmanager
def _without_messages(args: argparse.Namespace) -> Generator[None]:
    """Discard output to stdout, where Ray prints messages of its processes. With ``--verbose``, redirect it to stderr."""
    with Path(os.devnull).open("w", encoding="utf-8") as null, redirect_stdout(sys.stderr if args.verbose else null):
        yield


def _load(args: argparse.Namespace) -> Callable[[], RestorationModels]:
    """Return a function that loads the selected models in a worker."""
    return partial(models_from_args, _with_absolute_paths(args))


def _with_absolute_paths(args: argparse.Namespace) -> argparse.Namespace:
    """Return ``args`` with absolute paths of models, because workers have another working folder."""
    folders = [expand_user(folder).absolute() for folder in args.models_folder]
    names = {name: _absolute_file(getattr(args, name)) for name in _MODEL_FILES}
    return argparse.Namespace(**{**vars(args), "models_folder": folders, **names})


def _absolute_file(name: str | None) -> str | None:
    """Return the absolute path of an existing file, and other names of models unchanged."""
    return str(Path(name).absolute()) if name and Path(name).is_file() else name
