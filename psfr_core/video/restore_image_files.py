"""Restore image files that are the frames of one video."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ..errors import NoFaceError, VideoFileError
from ..images.box import Size
from ..images.channels import clamped, to_rgb
from ..images.decoding import MAX_PIXELS
from ..images.io import ImageFile, read_image, write_image
from ..read_ahead import read_ahead
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore_options import NoFace, RestoreOptions
from ..restoration.second_opinion import with_second_opinion
from ..write_behind import write_behind
from .face_plan import FacePlan
from .find_faces import find_faces
from .image_frame import ImageFrame
from .restore_frames import restore_frames
from .restore_video import VideoResult
from .video_options import VideoOptions, VideoProgress

_IMAGES_BETWEEN_THREADS = 4  # read or restored images that wait for the next step


@dataclass(eq=False)
class _FileFrame(ImageFrame):
    """An image with the file that it comes from."""

    path: Path
    file: ImageFile


@torch.no_grad()
def restore_image_files(
    targets: Mapping[Path, Path],
    models: RestorationModels,
    options: RestoreOptions | None = None,
    video: VideoOptions | None = None,
    *,
    max_pixels: int | None = MAX_PIXELS,
    progress: VideoProgress | None = None,
) -> VideoResult:
    """Restore the image files ``targets``, successive frames of one video in this order, and write each to its target.

    Faces are followed, aligned and averaged over time as in ``restore_video``; the encoding of ``video`` has no effect. Files are
    read twice, so memory does not grow with their number. Metadata and bit depth are kept. ``progress`` may raise to stop.
    Raises ImageFileError for files that cannot be read, before any is written, VideoFileError for images of different sizes, and
    NoFaceError if the options require a face.
    """
    options, video = options or RestoreOptions(), video or VideoOptions()
    read = partial(_read, max_pixels=max_pixels)
    with _reading(targets, read) as files:
        found = find_faces(
            _new_colors(files),
            with_second_opinion(models.detector, models.parse_net),
            options.detection,
            options.selection,
            video.tracks,
            progress=progress,
            estimated_frames=len(targets),
        )
    if not found.tracks and options.no_face is NoFace.ERROR:
        raise NoFaceError(
            f"No face that fits the options was found in {len(targets)} images. Lower the minimum score or size."
        )
    plan = FacePlan.of(found, video.smoothing)
    with _reading(targets, read) as files:
        restored = restore_frames(_frames(files), plan, models, options, video, progress)
        tasks = ((partial(_write, frame, targets[frame.path]), 1.0) for frame in restored)
        for _ in write_behind(tasks, threads=1, limit=_IMAGES_BETWEEN_THREADS):
            pass
    return VideoResult(found.frame_count, len(found.tracks), len(found.cuts) + 1, "")


def _reading(
    paths: Iterable[Path], read: Callable[[Path], tuple[Path, ImageFile]]
) -> closing[Generator[tuple[Path, ImageFile]]]:
    return closing(read_ahead(paths, read, lambda _: 1, _IMAGES_BETWEEN_THREADS))


def _read(path: Path, max_pixels: int | None) -> tuple[Path, ImageFile]:
    return path, read_image(path, max_pixels=max_pixels)


def _new_colors(files: Iterable[tuple[Path, ImageFile]]) -> Iterator[Tensor | None]:
    """Yield the colors (3, H, W) of each file, or None for one that is equal to the file before."""
    before: Tensor | None = None
    for path, file in files:
        size = Size.of(file.pixels)
        if before is not None and size != Size.of(before):
            raise VideoFileError(
                f"{path} has {size.width} x {size.height} pixels, the images before {before.shape[-1]} x {before.shape[-2]}. "
                "The frames of a video have one size: restore the others on their own."
            )
        is_repeat = before is not None and before.shape == file.pixels.shape and torch.equal(before, file.pixels)
        yield None if is_repeat else clamped(to_rgb(file.pixels))
        before = file.pixels


def _frames(files: Iterable[tuple[Path, ImageFile]]) -> Iterator[_FileFrame]:
    for index, (path, file) in enumerate(files):
        yield _FileFrame(index, file.pixels, torch.zeros(1, *file.pixels.shape[-2:]), path, file)


def _write(frame: _FileFrame, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    write_image(target, replace(frame.file, pixels=frame.image))
