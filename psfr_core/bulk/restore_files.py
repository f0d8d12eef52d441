"""Restore many image files: reading, restoring and writing overlap, and faces of several images share batches."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..batch_size import default_batch_size
from ..images.decoding import MAX_PIXELS
from ..images.io import ImageFile, read_image, write_image
from ..read_ahead import read_ahead
from ..restoration.prepare import PreparedImage, prepare_image
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore import RestorationResult, restore_prepared
from ..restoration.restore_options import RestoreOptions
from ..url_path import Location
from ..write_behind import write_behind

PIXELS_PER_STEP = 2**25
"""Limit of the total pixels of the images that wait for the restoration, are restored together, or wait to be written.

It applies to each of these steps. The last image of a step may exceed it.
"""

_IMAGES_PER_STEP = 16  # maximum number of images in a step, even if the images are small
_MIN_WEIGHT = PIXELS_PER_STEP / _IMAGES_PER_STEP  # pixels; smaller images count as images of this size
_MAX_WRITERS = 8  # maximum number of threads that write


@dataclass(frozen=True)
class FileJob:
    """An image file, and the file to which its result is written."""

    source: Location
    target: Location

    def __str__(self) -> str:
        return str(self.source)


@dataclass(frozen=True)
class FileResult:
    """The result of a file.

    ``faces`` is the number of restored faces, or None after an error. ``seconds`` is the processing time without waiting.
    """

    job: FileJob
    faces: int | None
    seconds: float
    error: Exception | None = None


Save = Callable[[FileJob, ImageFile, RestorationResult], None]
"""A function that writes the result of a file. Several threads may call it at the same time."""


def save_result(job: FileJob, before: ImageFile, result: RestorationResult) -> None:
    """Write the restored image with the metadata of the image ``before``; create the folder of the target."""
    if isinstance(job.target, Path):
        job.target.parent.mkdir(parents=True, exist_ok=True)
    write_image(job.target, replace(before, pixels=result.image))


def restore_files(
    jobs: Sequence[FileJob],
    models: RestorationModels,
    options: RestoreOptions | None = None,
    *,
    max_pixels: int | None = MAX_PIXELS,
    save: Save = save_result,
    on_result: Callable[[FileResult], None] | None = None,
) -> Generator[FileResult]:
    """Restore image files, and yield the result of each in the order of ``jobs``.

    One thread reads, the calling thread restores, and several threads write. Faces of several images share batches of
    ``options.batch_size`` faces (None: the default of the device). With a batch size of 1, the images are bit-identical to those
    of ``restore_image``. An error in one file is part of its result and does not stop the other files. An image of more than
    ``max_pixels`` pixels is an error; None sets no limit. ``save`` writes each result. ``on_result`` is called with the
    result of each file as soon as the file is written or has failed, in any order. Several threads call ``save`` and ``on_result``.
    The needed memory does not depend on the number of files. Close the generator to stop early; running writes are finished.
    """
    options = RestoreOptions() if options is None else options
    batch_size = options.batch_size or default_batch_size(next(models.generator.parameters()).device)
    read = partial(_read, max_pixels=max_pixels)
    with closing(read_ahead(jobs, read, lambda file: file.weight, PIXELS_PER_STEP)) as files:
        groups = _groups((_prepare(file, models, options) for file in files), batch_size)
        restored = (entry for group in groups for entry in _restore(group, models, options))
        tasks = ((partial(_finish, file, result, save, on_result), file.weight) for file, result in restored)
        with closing(write_behind(tasks, threads=_writers(), limit=PIXELS_PER_STEP)) as results:
            yield from results


@dataclass(frozen=True, eq=False)
class _File:
    """A file between two steps: the image, its prepared faces, the error if a step failed, and the processing time so far."""

    job: FileJob
    seconds: float
    before: ImageFile | None = None
    prepared: PreparedImage | None = None
    error: Exception | None = None

    @property
    def weight(self) -> float:
        return _MIN_WEIGHT if self.before is None else max(self.before.pixels[0].numel(), _MIN_WEIGHT)

    @property
    def faces(self) -> int:
        return 0 if self.prepared is None else len(self.prepared.aligned)

    @property
    def crop_size(self) -> int | None:
        return self.prepared.aligned[0].crop.shape[-1] if self.prepared is not None and self.faces else None

    def after(self, start: float) -> float:
        """Return the processing time including the time since ``start``, in seconds."""
        return self.seconds + time.perf_counter() - start


def _read(job: FileJob, max_pixels: int | None) -> _File:
    start = time.perf_counter()
    try:
        before = read_image(job.source, max_pixels=max_pixels)
    except Exception as error:
        return _File(job, time.perf_counter() - start, error=error)
    return _File(job, time.perf_counter() - start, before)


def _prepare(file: _File, models: RestorationModels, options: RestoreOptions) -> _File:
    if file.before is None:
        return file
    start = time.perf_counter()
    try:
        prepared = prepare_image(file.before.pixels, models, options)
    except Exception as error:
        return replace(file, seconds=file.after(start), error=error)
    return replace(file, seconds=file.after(start), prepared=prepared)


def _groups(files: Iterable[_File], batch_size: int) -> Generator[list[_File]]:
    """Yield groups of files with one crop size. A group ends when it fills a batch of faces or reaches the pixel limit."""
    group: list[_File] = []
    for file in files:
        if len({other.crop_size for other in [*group, file]} - {None}) > 1:
            yield group
            group = []
        group.append(file)
        if sum(other.faces for other in group) >= batch_size or sum(other.weight for other in group) >= PIXELS_PER_STEP:
            yield group
            group = []
    if group:
        yield group


def _restore(
    group: Sequence[_File], models: RestorationModels, options: RestoreOptions
) -> Generator[tuple[_File, RestorationResult | None]]:
    """Yield each file of ``group`` with its result. If the restoration of the group fails, restore each file separately."""
    prepared = [file.prepared for file in group if file.prepared is not None]
    start = time.perf_counter()
    try:
        results = iter(restore_prepared(prepared, models, options))
    except Exception as error:
        if len(group) > 1:
            for file in group:
                yield from _restore([file], models, options)
        else:
            yield replace(group[0], seconds=group[0].after(start), error=error), None
        return
    seconds = (time.perf_counter() - start) / max(sum(file.faces for file in group), 1)
    for file in group:
        result = None if file.prepared is None else next(results)
        yield replace(file, seconds=file.seconds + seconds * file.faces), result


def _finish(
    file: _File, result: RestorationResult | None, save: Save, on_result: Callable[[FileResult], None] | None
) -> FileResult:
    """Save ``result``, report it to ``on_result``, and return the result of the file."""
    finished = _save(file, result, save)
    if on_result is not None:
        on_result(finished)
    return finished


def _save(file: _File, result: RestorationResult | None, save: Save) -> FileResult:
    if file.before is None or result is None:
        return FileResult(file.job, None, file.seconds, file.error)
    start = time.perf_counter()
    try:
        save(file.job, file.before, result)
    except Exception as error:
        return FileResult(file.job, None, file.after(start), error)
    return FileResult(file.job, len(result.faces), file.after(start))


def _writers() -> int:
    return min(max((os.cpu_count() or 1) // 2, 1), _MAX_WRITERS)
