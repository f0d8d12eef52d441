"""Restore the faces of images that are the frames of one video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..checks import check_finite, check_shape, check_type
from ..errors import InputError
from ..faces.selection import LeftOut, SelectionOptions, select_faces
from ..images.channels import clamped, to_rgb
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore_options import RestoreOptions
from .face_plan import FacePlan
from .find_faces import VideoFaces, check_found, find_faces
from .image_frame import ImageFrame
from .restore_frames import restore_frames
from .tracks import Track
from .video_options import VideoOptions, VideoProgress


@dataclass(frozen=True, eq=False)
class SequenceResult:
    """The restored images, masks (B, 1, H, W) with the blend weights of the pixels, from 0 to 1, and the tracks of the faces.

    ``left_out`` are the numbers of tracks that were left out, by reason.
    """

    images: Tensor  # with the shape and dtype of the input
    masks: Tensor
    tracks: list[Track]
    left_out: Mapping[LeftOut, int]


@torch.no_grad()
def restore_sequence(
    images: Tensor,
    models: RestorationModels,
    options: RestoreOptions | None = None,
    video: VideoOptions | None = None,
    *,
    masks: Sequence[Tensor | None] | None = None,
    progress: VideoProgress | None = None,
) -> SequenceResult:
    """Restore the faces in ``images`` (B, C, H, W), successive frames of a video, RGB in [0, 1], with C from 1 to 4.

    Faces are followed, aligned and averaged over time as in ``restore_video``; the encoding of ``video`` has no effect. ``masks``
    contains a mask (H, W) for each image, or None where all faces are wanted; a track is restored only if its face in the middle
    frame is in the mask. Pixels where the result's mask is 0 stay bit-identical. ``progress`` may raise to stop.
    Raises InputError for invalid images, and NoFaceError if the options require a face but none is found.
    """
    options, video = options or RestoreOptions(), video or VideoOptions()
    check_type(models, RestorationModels, "models")
    check_shape(images, "B C H W", "images")
    check_finite(images, "images")
    if masks is not None and len(masks) != len(images):
        raise InputError(f"masks must have one entry for each of the {len(images)} images, got {len(masks)}.")
    equal = [index > 0 and torch.equal(image, images[index - 1]) for index, image in enumerate(images)]
    colors = (None if same else clamped(to_rgb(image)) for image, same in zip(images, equal, strict=True))
    found = find_faces(colors, models, options, video, progress=progress, estimated_frames=len(images))
    found = _masked(found, masks)
    check_found(found, options, "the frames")
    restored = images.clone()
    pasted = images.new_zeros((len(images), 1, *images.shape[-2:]), dtype=torch.float32)
    frames = [ImageFrame(index, *pair) for index, pair in enumerate(zip(restored, pasted, strict=True))]
    for _ in restore_frames(frames, FacePlan.of(found, video.smoothing), models, options, video, progress):
        pass  # the frames are changed in place
    return SequenceResult(restored, pasted, found.tracks, found.left_out)


def _masked(found: VideoFaces, masks: Sequence[Tensor | None] | None) -> VideoFaces:
    """Return ``found`` with only the tracks whose face in the middle frame is in the mask of this frame."""
    if masks is None:
        return found
    kept: list[Track] = []
    for track in found.tracks:
        middle = track.frames[len(track) // 2]
        if select_faces([track.face(middle)], found.upright, SelectionOptions(), masks[middle]):
            kept.append(track)
    outside = Counter({LeftOut.OUTSIDE_MASK: len(found.tracks) - len(kept)})
    return replace(found, tracks=kept, left_out=Counter(found.left_out) + outside)
