"""Restore the faces of the frames in the second pass over a video. Faces of several frames share batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from ..batch_size import default_batch_size
from ..parsing.eye_state import with_closed_eyes
from ..parsing.labels import FaceRegion
from ..parsing.parse_map import ParseMap
from ..parsing.parser import most_probable_regions, parse_probabilities
from ..restoration.color_match import match_colors
from ..restoration.enhance import enhance_faces
from ..restoration.paste_options import PasteOptions
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore import blend_masks
from ..restoration.restore_options import RestoreOptions
from .face_patches import paste_into_frame
from .face_plan import FacePlan, PlannedFace
from .moving_frame import F
from .steady_alignment import Smoothing
from .steady_crops import CropCutter, SteadyCrop
from .steady_looks import FrameWeights, windows
from .video_options import VideoOptions, VideoProgress, VideoStep

_MAX_FRAMES = 32  # maximum number of frames per batch
_AVERAGES = 3  # successive averages over ``steady_frames``: crops, parse maps and restored faces
# In every second frame, a face is averaged instead of restored if the maps of ``unchanged`` for the previous and the next frame
# are at least this high in the pasted regions.
_MIN_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class _CutFrame(Generic[F]):
    """A frame with the crops of its faces by track."""

    frame: F
    cuts: dict[int, SteadyCrop]


@dataclass(frozen=True, eq=False)
class _Face:
    """A face of a frame. ``steady`` is its crop (3, S, S), averaged over time with ``weights``."""

    cut: SteadyCrop
    weights: FrameWeights
    steady: Tensor

    @property
    def planned(self) -> PlannedFace:
        return self.cut.planned

    @property
    def track(self) -> int:
        return self.cut.planned.track


@dataclass(frozen=True, eq=False)
class _Frame(Generic[F]):
    """A frame with its faces."""

    frame: F
    faces: list[_Face]


@dataclass(frozen=True, eq=False)
class _Step(Generic[F]):
    """A frame with the results of a step by track: region probabilities of ``_parsed``, or restored faces of ``_enhanced``.

    Between these steps, ``_mapped`` yields no results, but the parse maps of all faces, or None if there are no faces, and
    ``to_restore``, the indices of the faces that are restored. The other faces only get averages of neighboring frames.
    """

    work: _Frame[F]
    results: dict[int, Tensor]
    parse_maps: ParseMap | None = None
    to_restore: Sequence[int] = ()


def restore_frames(
    frames: Iterable[F],
    plan: FacePlan,
    models: RestorationModels,
    options: RestoreOptions,
    video: VideoOptions,
    progress: VideoProgress | None = None,
) -> Iterator[F]:
    """Restore the faces of ``frames`` in place, and yield the frames in their order. A few frames are read ahead.

    Crops, parse maps and restored faces are averaged over up to ``video.steady_frames`` frames on each side of a frame, where the
    face does not change. In every second frame, a face that does not change is not restored, but gets the average of the results
    for this face in neighboring frames. A frame that repeats the previous one has a bit-identical result. ``progress`` is called
    with the number of restored frames whenever a frame is read or restored, and may raise to stop. Raises InputError if ``plan``
    was registered for another crop size, and PsfrError if the output of a network is not finite.
    """
    count = _Count(progress, plan.frame_count)
    device = next(models.generator.parameters()).device
    batch_size = options.batch_size or default_batch_size(device)
    crop_size = models.crop_size_for(plan.sides)
    registers = plan.registered is None and video.smoothing is not Smoothing.NONE
    cut = _cut(count.watch(frames), plan, crop_size, CropCutter(crop_size, device, registers=registers))
    denoised = _denoised(cut, video.steady_frames)
    mapped = _mapped(_parsed(denoised, models, options, batch_size), video.steady_frames, options.paste)
    restored = _enhanced(mapped, models, options, batch_size)
    before: F | None = None
    for window in windows(restored, video.steady_frames):
        step = window.center
        frame = step.work.frame
        if step.parse_maps is not None:
            _paste(step.work, _averaged(step, window.neighbors), step.parse_maps, models, options)
        elif frame.index in plan.repeats and before is not None:
            frame.repeat(before)
        before = frame
        count.advance()
        yield frame


def frames_around(video: VideoOptions) -> int:
    """Return how many frames on each side of a frame influence its result."""
    return _AVERAGES * video.steady_frames


class _Count:
    """Counter that reports the restored frames, also when a frame is only read, so that the caller can stop at every frame."""

    def __init__(self, progress: VideoProgress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def watch(self, frames: Iterable[F]) -> Iterator[F]:
        """Yield ``frames``, with a report before each."""
        for frame in frames:
            self._report()
            yield frame

    def advance(self) -> None:
        """Count a restored frame."""
        self._done += 1
        self._report()

    def _report(self) -> None:
        if self._progress is not None:
            self._progress(VideoStep.RESTORE, self._done, max(self._total, self._done))


def _cut(frames: Iterable[F], plan: FacePlan, crop_size: int, cutter: CropCutter) -> Iterator[_CutFrame[F]]:
    """Yield each frame with the crops of its faces. Faces outside the frame and repeated frames have none."""
    for frame in frames:
        if frame.index in plan.repeats:
            yield _CutFrame(frame, {})
            continue
        planes = frame.to_read()
        cuts = (cutter.cut(planes, planned) for planned in plan.faces_in(frame.index, crop_size))
        yield _CutFrame(frame, {cut.planned.track: cut for cut in cuts if cut is not None})


def _denoised(frames: Iterable[_CutFrame[F]], radius: int) -> Iterator[_Frame[F]]:
    """Yield each frame with averaged crops, and the weights that all averages use."""
    for window in windows(frames, radius):
        faces: list[_Face] = []
        for track, cut in window.center.cuts.items():
            around = {other.frame.index: other.cuts[track] for other in window.neighbors if track in other.cuts}
            weights = FrameWeights.of(cut.outline, {frame: same.outline for frame, same in around.items()})
            steady = weights.average(cut.crop, {frame: same.crop for frame, same in around.items()})
            faces.append(_Face(cut, weights, steady))
        yield _Frame(window.center.frame, faces)


def _parsed(
    frames: Iterable[_Frame[F]], models: RestorationModels, options: RestoreOptions, batch_size: int
) -> Iterator[_Step[F]]:
    """Yield each frame with the region probabilities (19, P, P), float16, of its faces, where P is the size of the parser."""
    for batch in _batches(((frame, len(frame.faces)) for frame in frames), batch_size):
        crops = [face.steady for frame in batch for face in frame.faces]
        results = iter(
            parse_probabilities(torch.stack(crops), models.parse_net, options.batch_size).half() if crops else []
        )
        for frame in batch:
            yield _Step(frame, {face.track: next(results) for face in frame.faces})


def _mapped(steps: Iterable[_Step[F]], radius: int, paste: PasteOptions) -> Iterator[_Step[F]]:
    """Yield each frame with the parse maps of its averaged probabilities, and the indices of the faces that are restored."""
    for window in windows(steps, radius):
        work = window.center.work
        if not work.faces:
            yield _Step(work, {})
            continue
        crops = torch.stack([face.steady for face in work.faces])
        parse_maps = most_probable_regions(_averaged(window.center, window.neighbors), crops.shape[-1])
        parse_maps = with_closed_eyes(crops, parse_maps)
        yield _Step(work, {}, parse_maps, _to_restore(work, parse_maps, paste))


def _to_restore(work: _Frame[F], parse_maps: ParseMap, paste: PasteOptions) -> Sequence[int]:
    """Return the indices of the faces that are restored: in every second frame, only those that change."""
    index = work.frame.index
    if index % 2 == 0:
        return range(len(work.faces))
    pasted = parse_maps.mask({region for region in FaceRegion if paste.strength_of(region)}) > 0
    shares = [
        face.weights.least_share([index - 1, index + 1], region)
        for face, region in zip(work.faces, pasted, strict=True)
    ]
    return [place for place, share in enumerate(torch.stack(shares).tolist()) if share < _MIN_SHARE]


def _enhanced(
    steps: Iterable[_Step[F]], models: RestorationModels, options: RestoreOptions, batch_size: int
) -> Iterator[_Step[F]]:
    """Yield each frame with its restored faces (3, S, S)."""
    for batch in _batches(((step, len(step.to_restore)) for step in steps), batch_size):
        chosen = [[step.work.faces[index] for index in step.to_restore] for step in batch]
        faces = [face for of_step in chosen for face in of_step]
        results: Iterator[Tensor] = iter(())
        if faces:
            maps = [step.parse_maps.labels[list(step.to_restore)] for step in batch if step.parse_maps is not None]
            parse_map = options.eyes.applied_to(ParseMap(torch.cat(maps)))
            sides = [face.planned.side for face in faces]
            crops = torch.stack([face.steady for face in faces])
            results = iter(
                enhance_faces(crops, parse_map, models.generator, sides=sides, batch_size=options.batch_size)
            )
        for step, of_step in zip(batch, chosen, strict=True):
            yield _Step(step.work, {face.track: next(results) for face in of_step}, step.parse_maps)


def _averaged(step: _Step[F], neighbors: Sequence[_Step[F]]) -> Tensor:
    """Return the results (N, C, S, S) for the N >= 1 faces of ``step``, averaged with those for the same faces in ``neighbors``."""
    averaged: list[Tensor] = []
    for face in step.work.faces:
        around = {other.work.frame.index: other.results.get(face.track) for other in neighbors}
        averaged.append(face.weights.average(step.results.get(face.track), around))
    return torch.stack(averaged)


def _paste(
    work: _Frame[F], restored: Tensor, parse_maps: ParseMap, models: RestorationModels, options: RestoreOptions
) -> None:
    """Match the colors of the ``restored`` faces (N, 3, S, S) of a frame, and paste the faces into it in place."""
    crops = torch.stack([face.steady for face in work.faces])
    matched = match_colors(restored, crops, options.color_match)
    sizes = [models.generator.for_side(face.planned.side).size for face in work.faces]
    masks = blend_masks(matched, crops, parse_maps, options, guard=options.guard, sizes=sizes)
    strengths = torch.tensor([face.planned.strength for face in work.faces], device=masks.device)
    aligned = [face.cut.aligned for face in work.faces]
    weights = masks * strengths[:, None, None, None]
    paste_into_frame(work.frame.to_write(), aligned, matched, weights, options.paste.grain)


S = TypeVar("S")


def _batches(items: Iterable[tuple[S, int]], face_count: int) -> Iterator[list[S]]:
    """Yield groups of successive items. ``items`` contains each item with its number of faces.

    A group ends as soon as it has at least ``face_count`` faces or ``_MAX_FRAMES`` items.
    """
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
