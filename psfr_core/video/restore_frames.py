"""Second pass over a video: restore the faces of its frames, those of several frames in one batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..batch_size import default_batch_size
from ..parsing.eye_state import with_closed_eyes
from ..parsing.parse_map import ParseMap
from ..parsing.parser import parse_probabilities
from ..restoration.color_match import match_colors
from ..restoration.enhance import enhance_faces
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore import blend_masks
from ..restoration.restore_options import RestoreOptions
from .face_patches import paste_into_frame
from .face_plan import FacePlan
from .find_faces import VideoFaces
from .frame_planes import FramePlanes
from .pixel_formats import plane_arrays
from .steady_alignment import Smoothing
from .steady_crops import CropCutter, SteadyCrop
from .steady_looks import TrackLook, average_look, windows
from .video_options import VideoOptions

if TYPE_CHECKING:
    import av

_MAX_FRAMES = 32  # in a batch


@dataclass(frozen=True, eq=False)
class _Face:
    """A face of a frame; ``strength`` is its fade-in from 0 to 1, and ``steady`` the crop averaged over time (3, S, S).

    ``side`` is that of the crops of its track in pixels of the frame.
    """

    track: int
    cut: SteadyCrop
    strength: float
    side: float
    steady: Tensor


@dataclass(frozen=True, eq=False)
class _Frame:
    """A frame with its faces."""

    frame: av.VideoFrame
    is_repeat: bool
    faces: list[_Face]


@dataclass(frozen=True, eq=False)
class _Step:
    """A frame with the result of a step for each of its faces, and the parse maps once they are known."""

    work: _Frame
    results: list[Tensor]
    parse_maps: ParseMap | None = None


def restore_frames(
    frames: Iterable[av.VideoFrame],
    found: VideoFaces,
    plan: FacePlan,
    models: RestorationModels,
    options: RestoreOptions,
    video: VideoOptions,
) -> Iterator[av.VideoFrame]:
    """Yield the ``frames`` with their faces restored, in the same order; a few frames are read ahead.

    Crops, parse maps and restored faces are averaged over ``video.steady_frames`` frames before and after, where the face did
    not change. A frame that repeats the one before gets the same result, bit by bit.
    """
    device = next(models.generator.parameters()).device
    batch_size = options.batch_size or default_batch_size(device)
    crop_size = models.crop_size_for(plan.sides)
    cutter = CropCutter(crop_size, device, registers=video.smoothing is not Smoothing.NONE)
    denoised = _denoised(_cut(frames, found, plan, crop_size, cutter), video.steady_frames)
    mapped = _mapped(_parsed(denoised, models, batch_size), video.steady_frames)
    restored = _enhanced(mapped, models, options, batch_size)
    before: av.VideoFrame | None = None
    for window in windows(restored, video.steady_frames):
        step = window.center
        frame = step.work.frame
        if step.parse_maps is not None:
            steady = torch.stack(_averaged(step, window.neighbors))
            _paste(step.work, steady, step.parse_maps, models, options)
        elif step.work.is_repeat and before is not None:
            frame.make_writable()
            for new, old in zip(plane_arrays(frame), plane_arrays(before), strict=True):
                np.copyto(new, old)
        before = frame
        yield frame


def _cut(
    frames: Iterable[av.VideoFrame], found: VideoFaces, plan: FacePlan, crop_size: int, cutter: CropCutter
) -> Iterator[_Frame]:
    index_of = {timestamp: index for index, timestamp in enumerate(found.timestamps)}
    for frame in frames:
        index = index_of.get(int(frame.pts or 0), -1)  # a frame that the first pass did not decode has no faces
        if index in found.repeats:
            yield _Frame(frame, True, [])
            continue
        planes = FramePlanes.of(frame)
        faces: list[_Face] = []
        for planned in plan.faces_in(index, crop_size):
            cut = cutter.cut(planes, planned)
            if cut is not None:
                faces.append(_Face(planned.track, cut, planned.strength, planned.side, cut.crop))
        yield _Frame(frame, False, faces)


def _denoised(frames: Iterable[_Frame], radius: int) -> Iterator[_Frame]:
    """Yield the frames with averaged crops."""
    steps = (_Step(frame, [face.cut.crop for face in frame.faces]) for frame in frames)
    for window in windows(steps, radius):
        work = window.center.work
        averaged = _averaged(window.center, window.neighbors)
        faces = [replace(face, steady=crop) for face, crop in zip(work.faces, averaged, strict=True)]
        yield replace(work, faces=faces)


def _parsed(frames: Iterable[_Frame], models: RestorationModels, batch_size: int) -> Iterator[_Step]:
    """Yield each frame with the probabilities of the regions (19, S, S) of its faces, float16."""
    for batch in _batches(((frame, len(frame.faces)) for frame in frames), batch_size):
        crops = [face.steady for frame in batch for face in frame.faces]
        results = iter(parse_probabilities(torch.stack(crops), models.parse_net, batch_size).half() if crops else [])
        for frame in batch:
            yield _Step(frame, [next(results) for _ in frame.faces])


def _mapped(steps: Iterable[_Step], radius: int) -> Iterator[_Step]:
    """Yield each frame with the parse maps of its averaged probabilities."""
    for window in windows(steps, radius):
        work = window.center.work
        if not work.faces:
            yield _Step(work, [])
            continue
        labels = torch.stack([mean.argmax(0) for mean in _averaged(window.center, window.neighbors)])
        crops = torch.stack([face.steady for face in work.faces])
        yield _Step(work, [], with_closed_eyes(crops, ParseMap(labels.to(torch.uint8))))


def _enhanced(
    steps: Iterable[_Step], models: RestorationModels, options: RestoreOptions, batch_size: int
) -> Iterator[_Step]:
    """Yield each frame with its restored faces (3, S, S)."""
    for batch in _batches(((step, len(step.work.faces)) for step in steps), batch_size):
        crops = [face.steady for step in batch for face in step.work.faces]
        maps = [step.parse_maps.labels for step in batch if step.parse_maps is not None]
        results: Iterator[Tensor] = iter(())
        if crops:
            parse_map = options.eyes.applied_to(ParseMap(torch.cat(maps)))
            sides = [face.side for step in batch for face in step.work.faces]
            results = iter(
                enhance_faces(torch.stack(crops), parse_map, models.generator, sides=sides, batch_size=batch_size)
            )
        for step in batch:
            yield _Step(step.work, [next(results) for _ in step.work.faces], step.parse_maps)


def _averaged(step: _Step, neighbors: Iterable[_Step]) -> list[Tensor]:
    around = [look for other in neighbors for look in _looks(other)]
    return [average_look(look, around) for look in _looks(step)]


def _looks(step: _Step) -> list[TrackLook]:
    pairs = zip(step.work.faces, step.results, strict=True)
    return [TrackLook(face.track, face.cut.outline, result) for face, result in pairs]


def _paste(
    work: _Frame, restored: Tensor, parse_maps: ParseMap, models: RestorationModels, options: RestoreOptions
) -> None:
    crops = torch.stack([face.steady for face in work.faces])
    matched = match_colors(restored, crops, options.color_match)
    sizes = [models.generator.for_side(face.side).size for face in work.faces]
    masks = blend_masks(matched, crops, parse_maps, options, guard=options.guard, sizes=sizes)
    strengths = torch.tensor([face.strength for face in work.faces], device=masks.device)
    work.frame.make_writable()  # the decoder may still need its own copy
    aligned = [face.cut.aligned for face in work.faces]
    planes = FramePlanes.of(work.frame)
    paste_into_frame(planes, aligned, matched, masks * strengths[:, None, None, None], options.paste.grain)


S = TypeVar("S")


def _batches(items: Iterable[tuple[S, int]], face_count: int) -> Iterator[list[S]]:
    """Group successive items, which come with their numbers of faces, until they have ``face_count`` faces."""
    batch: list[S] = []
    count = 0
    for item, faces in items:
        batch.append(item)
        count += faces
        if count >= face_count or len(batch) == _MAX_FRAMES:
            yield batch
            batch, count = [], 0
    if batch:
        yield batch
