"""Restore image files that are the frames of one video."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError, VideoFileError
from ..images.box import Size
from ..images.channels import clamped, to_rgb
from ..images.decoding import MAX_PIXELS
from ..images.io import ImageFile, read_image, write_image
from ..read_ahead import read_ahead
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore_options import RestoreOptions
from ..write_behind import write_each
from .face_plan import FacePlan
from .find_faces import check_found, find_faces
from .frame_images import choose_encoding_of_images, video_frame
from .image_frame import ImageFrame
from .read_video import FrameSample
from .restore_frames import restore_frames
from .restore_video import VideoResult, result_of
from .video_options import VideoOptions, VideoProgress
from .write_video import open_new_video

DEFAULT_RATE = Fraction(25)
_IMAGES_BETWEEN_THREADS = 4  # maximum number of read or restored images that wait for the next step


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
    """Restore image files that are successive frames of one video, and write each result to its target.

    ``targets`` maps each image file to its target, in the order of the frames. Faces are followed, aligned and averaged over time
    as in ``restore_video``; the encoding of ``video`` has no effect. Files are read twice, so memory does not grow with their
    number. Metadata and bit depth are kept. ``progress`` may raise to stop. Raises InputError if there are no files, ImageFileError
    for files that cannot be read or have more than ``max_pixels`` pixels (None: no limit), VideoFileError for images of different
    sizes, and NoFaceError if the options require a face but none is found; all files are checked before the first is written.
    """
    sequence = _Sequence(
        list(targets), models, options or RestoreOptions(), video or VideoOptions(), max_pixels, progress
    )
    plan, result = sequence.find()
    write_each(sequence.restore(plan), lambda frame: _write(frame, targets[frame.path]), limit=_IMAGES_BETWEEN_THREADS)
    return result


@torch.no_grad()
def restore_images_to_video(
    paths: Sequence[Path],
    target: str | Path,
    models: RestorationModels,
    options: RestoreOptions | None = None,
    video: VideoOptions | None = None,
    *,
    rate: Fraction = DEFAULT_RATE,
    max_pixels: int | None = MAX_PIXELS,
    progress: VideoProgress | None = None,
) -> VideoResult:
    """Restore the image files ``paths``, successive frames in this order, and write the video file ``target``.

    ``rate`` is the number of frames per second. A lossless video has exactly the colors of the images. The default pixel format of
    other videos is yuv420p, which all players support, or yuva420p for images with alpha. If the encoder does not support it, as
    for odd sizes, the closest format is chosen. ``target`` appears when it is complete. Raises OptionError for an encoding that is
    not possible, VideoFileError or OSError if the video cannot be written or if an image has transparency that the first does not
    have (for lossless videos, also if it has more bits), and the errors of ``restore_image_files``.
    """
    options, video, target = options or RestoreOptions(), video or VideoOptions(), Path(target)
    sequence = _Sequence(list(paths), models, options, video, max_pixels, progress)
    first = read_image(paths[0], max_pixels=max_pixels)
    sequence = replace(sequence, check=partial(_check_fits, first, is_lossless=video.encoding.lossless))
    encoding = choose_encoding_of_images(first, target, video.encoding, rate)  # raises errors before hours of work
    plan, result = sequence.find()
    sample = FrameSample(video_frame(first, encoding), 0, is_mirrored=False, display_matrix=None, is_interlaced=False)
    with open_new_video(target, rate, sample, encoding) as writer:

        def write(frame: _FileFrame) -> None:
            encoded = video_frame(replace(frame.file, pixels=frame.image), encoding)
            encoded.pts, encoded.time_base = frame.index, 1 / rate
            writer.write(encoded)

        write_each(sequence.restore(plan), write, limit=_IMAGES_BETWEEN_THREADS)
    return result


@dataclass(frozen=True, eq=False)
class _Sequence:
    """Image files that are the frames of one video, and how to restore them."""

    paths: list[Path]
    models: RestorationModels
    options: RestoreOptions
    video: VideoOptions
    max_pixels: int | None
    progress: VideoProgress | None
    check: Callable[[Path, ImageFile], None] | None = None  # called with each image; may raise an error

    def __post_init__(self) -> None:
        if not self.paths:
            raise InputError("A video needs at least one image file, got none.")

    def find(self) -> tuple[FacePlan, VideoResult]:
        """Find and align the faces of all images. Return the plan and a summary."""
        with _reading(self.paths, self._read) as files:
            found = find_faces(
                _new_colors(files),
                self.models,
                self.options,
                self.video,
                progress=self.progress,
                estimated_frames=len(self.paths),
            )
        check_found(found, self.options, f"{len(self.paths)} images")
        plan = FacePlan.of(found, self.video.smoothing)
        return plan, result_of(plan, len(found.cuts) + 1)

    def restore(self, plan: FacePlan) -> Iterator[_FileFrame]:
        """Yield the restored images in their order."""
        with _reading(self.paths, self._read) as files:
            yield from restore_frames(_frames(files), plan, self.models, self.options, self.video, self.progress)

    def _read(self, path: Path) -> tuple[Path, ImageFile]:
        file = read_image(path, max_pixels=self.max_pixels)
        if self.check is not None:
            self.check(path, file)
        return path, file


def _check_fits(first: ImageFile, path: Path, file: ImageFile, *, is_lossless: bool) -> None:
    """Raise VideoFileError if ``file`` has transparency, or for a lossless video more bits, that ``first`` does not have.

    The format of a video is that of its first image.
    """
    if file.has_alpha and not first.has_alpha:
        excess = "transparency"
    elif is_lossless and file.bit_depth > first.bit_depth:
        excess = f"{file.bit_depth} bits"
    else:
        return
    raise VideoFileError(
        f"{path} has {excess}, but the first image does not, and all frames of a video have the format of the first. Convert "
        "all images to one format."
    )


def _reading(
    paths: Iterable[Path], read: Callable[[Path], tuple[Path, ImageFile]]
) -> closing[Generator[tuple[Path, ImageFile]]]:
    return closing(read_ahead(paths, read, lambda _: 1, _IMAGES_BETWEEN_THREADS))


def _new_colors(files: Iterable[tuple[Path, ImageFile]]) -> Iterator[Tensor | None]:
    """Yield the colors (3, H, W) of each file, or None for a file whose pixels are equal to those of the previous one.

    Raise VideoFileError for files of different sizes.
    """
    before: Tensor | None = None
    for path, file in files:
        size = Size.of(file.pixels)
        if before is not None and size != Size.of(before):
            raise VideoFileError(
                f"{path} has {size.width} x {size.height} pixels, but the previous image has {before.shape[-1]} x "
                f"{before.shape[-2]}. All frames of a video must have the same size. Restore other images separately."
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
