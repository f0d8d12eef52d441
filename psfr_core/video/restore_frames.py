"""Second pass over a video: restore the faces of its frames, those of several frames in one batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..batch_size import default_batch_size
from ..faces.align import AlignedFace
from ..parsing.parser import parse_faces
from ..restoration.color_match import match_colors
from ..restoration.enhance import enhance_faces
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore import blend_masks
from ..restoration.restore_options import RestoreOptions
from .face_patches import cut_face, paste_into_frame
from .face_plan import FacePlan
from .find_faces import VideoFaces
from .frame_planes import FramePlanes
from .pixel_formats import plane_arrays

if TYPE_CHECKING:
    import av

_MAX_FRAMES = 32  # maximum number of frames in memory


@dataclass(frozen=True, eq=False)
class _FrameFaces:
    """A frame with the crops of its faces; ``strengths`` tell how far they are faded in."""

    frame: av.VideoFrame
    is_repeat: bool
    aligned: list[AlignedFace]
    strengths: list[float]


def restore_frames(
    frames: Iterable[av.VideoFrame],
    found: VideoFaces,
    plan: FacePlan,
    models: RestorationModels,
    options: RestoreOptions,
) -> Iterator[av.VideoFrame]:
    """Yield the ``frames`` with their faces restored, in the same order; a few frames are read ahead.

    A frame that repeats the one before gets the same result, bit by bit.
    """
    device = next(models.generator.parameters()).device
    batch_size = options.batch_size or default_batch_size(device)
    before: av.VideoFrame | None = None
    for batch in _batches(_cut(frames, found, plan, models.crop_size), batch_size):
        restored, masks = _restore(batch, models, options, device)
        for work, faces, soft in zip(batch, restored, masks, strict=True):
            if work.aligned:
                work.frame.make_writable()  # the decoder may still need its own copy
                paste_into_frame(FramePlanes.of(work.frame), work.aligned, faces, soft, options.paste.grain)
            elif work.is_repeat and before is not None:
                work.frame.make_writable()
                for new, old in zip(plane_arrays(work.frame), plane_arrays(before), strict=True):
                    np.copyto(new, old)
            before = work.frame
            yield work.frame


def _cut(frames: Iterable[av.VideoFrame], found: VideoFaces, plan: FacePlan, crop_size: int) -> Iterator[_FrameFaces]:
    index_of = {timestamp: index for index, timestamp in enumerate(found.timestamps)}
    for frame in frames:
        index = index_of.get(int(frame.pts or 0), -1)  # a frame that the first pass did not decode has no faces
        if index in found.repeats:
            yield _FrameFaces(frame, True, [], [])
            continue
        planes = FramePlanes.of(frame)
        cut = [
            (aligned, strength)
            for _, face, image_to_crop, strength in plan.faces_in(index, crop_size)
            if (aligned := cut_face(planes, face, image_to_crop, crop_size)) is not None
        ]
        yield _FrameFaces(frame, False, [aligned for aligned, _ in cut], [strength for _, strength in cut])


def _batches(frames: Iterable[_FrameFaces], face_count: int) -> Iterator[list[_FrameFaces]]:
    """Group successive frames until they have ``face_count`` faces."""
    batch: list[_FrameFaces] = []
    for frame in frames:
        batch.append(frame)
        if sum(len(work.aligned) for work in batch) >= face_count or len(batch) == _MAX_FRAMES:
            yield batch
            batch = []
    if batch:
        yield batch


def _restore(
    batch: list[_FrameFaces], models: RestorationModels, options: RestoreOptions, device: torch.device
) -> tuple[list[Tensor], list[Tensor]]:
    """Return for each frame its restored crops (N, 3, S, S) and their masks (N, 1, S, S)."""
    counts = [len(work.aligned) for work in batch]
    crops = [aligned.crop for work in batch for aligned in work.aligned]
    if not crops:
        return [torch.empty(0)] * len(batch), [torch.empty(0)] * len(batch)
    crops = torch.stack(crops).to(device)
    parse_maps = parse_faces(crops, models.parse_net, options.batch_size)
    restored = enhance_faces(
        crops, options.eyes.applied_to(parse_maps), models.generator, batch_size=options.batch_size
    )
    restored = match_colors(restored, crops, options.color_match)
    masks = blend_masks(restored, crops, parse_maps, options, guard=options.guard)
    strengths = torch.tensor([strength for work in batch for strength in work.strengths], device=device)
    return list(restored.split(counts)), list((masks * strengths[:, None, None, None]).split(counts))
