"""Restore the images of a batch, separately or as one video."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from ..psfr_core.restoration.restoration_models import RestorationModels
from ..psfr_core.restoration.restore import RestorationResult, restore_image
from ..psfr_core.restoration.restore_options import RestoreOptions
from ..psfr_core.video.restore_sequence import SequenceResult, restore_sequence
from .images import masks_of_frames, to_frames
from .notes import ImageFaces
from .runtime import steps_of_frames, steps_of_passes, with_smaller_batches


def restore_one_by_one(
    image: Tensor, models: RestorationModels, options: RestoreOptions, mask: Tensor | None
) -> tuple[Tensor, list[Tensor], list[ImageFaces]]:
    """Restore each image of the IMAGE separately. Return the IMAGE, and the paste mask (1, H, W) and faces of each image."""
    restored = image.clone()
    frames = to_frames(restored)
    progress = steps_of_frames(len(frames))

    def restore(index: int, frame: Tensor, frame_mask: Tensor | None) -> RestorationResult:
        report = progress(index)
        return with_smaller_batches(
            lambda size: restore_image(
                frame, models, replace(options, batch_size=size), mask=frame_mask, progress=report
            )
        )

    changed: list[Tensor] = []
    found: list[ImageFaces] = []
    for index, (frame, frame_mask) in enumerate(zip(frames, masks_of_frames(mask, len(frames)), strict=True)):
        result = restore(index, frame, frame_mask)
        frame.copy_(result.image)
        changed.append(result.mask)
        found.append(ImageFaces(len(result.faces), result.left_out))
    return restored, changed, found


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
