"""Restore the images of a batch, separately or as one video."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from torch import Tensor

from ..psfr_core.progress import Progress
from ..psfr_core.restoration.prepare import PreparedImage, prepare_image
from ..psfr_core.restoration.restoration_models import RestorationModels
from ..psfr_core.restoration.restore import restore_prepared
from ..psfr_core.restoration.restore_options import RestoreOptions
from ..psfr_core.video.restore_sequence import SequenceResult, restore_sequence
from .images import masks_of_frames, to_frames
from .notes import ImageFaces
from .runtime import batch_limit, steps_of_frames, steps_of_passes, with_smaller_batches

_MAX_IMAGES = 32  # maximum number of images in a group


def restore_one_by_one(
    image: Tensor, models: RestorationModels, options: RestoreOptions, mask: Tensor | None
) -> tuple[Tensor, list[Tensor], list[ImageFaces]]:
    """Restore the images of an IMAGE separately.

    Return the restored IMAGE, and the paste mask (1, H, W) and the numbers of faces of each image. Faces of several images are
    restored in common batches.
    """
    restored = image.clone()
    frames = to_frames(restored)
    progress = steps_of_frames(len(frames))
    changed: list[Tensor] = []
    found: list[ImageFaces] = []
    for group in _groups(_prepared(frames, models, options, mask, lambda: progress(len(changed)))):
        report = progress(len(changed), len(group))
        results = with_smaller_batches(
            lambda size, group=group, report=report: restore_prepared(
                group, models, replace(options, batch_size=size), progress=report
            )
        )
        for prepared, result in zip(group, results, strict=True):
            prepared.image.copy_(result.image)  # a view of the IMAGE
            changed.append(result.mask)
            found.append(ImageFaces(len(result.faces), result.left_out))
    return restored, changed, found


def _prepared(
    frames: Tensor,
    models: RestorationModels,
    options: RestoreOptions,
    mask: Tensor | None,
    progress: Callable[[], Progress],
) -> Iterator[PreparedImage]:
    """Yield each frame with its aligned faces. ``progress`` is called before each search and returns its progress callback."""
    for frame, frame_mask in zip(frames, masks_of_frames(mask, len(frames)), strict=True):
        yield with_smaller_batches(
            lambda _, frame=frame, frame_mask=frame_mask: prepare_image(
                frame, models, options, mask=frame_mask, progress=progress()
            )
        )


def _groups(images: Iterable[PreparedImage]) -> Iterator[list[PreparedImage]]:
    """Yield groups of successive images with crops of one size, each with about enough faces for one batch."""
    group: list[PreparedImage] = []
    for image in images:
        if len({face.crop.shape for each in [*group, image] for face in each.aligned}) > 1:
            yield group
            group = []
        group.append(image)
        if sum(len(each.aligned) for each in group) >= batch_limit() or len(group) == _MAX_IMAGES:
            yield group
            group = []
    if group:
        yield group


def restore_as_video(
    frames: Tensor, models: RestorationModels, options: RestoreOptions, mask: Tensor | None
) -> SequenceResult:
    """Restore ``frames`` (B, C, H, W) as one video."""
    masks = masks_of_frames(mask, len(frames))
    return with_smaller_batches(
        lambda size: restore_sequence(
            frames, models, replace(options, batch_size=size), masks=masks, progress=steps_of_passes()
        )
    )
