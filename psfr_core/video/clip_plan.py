"""Plan the restoration of a video file, so that its frames can be restored in any order."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..checks import check_type
from ..errors import VideoFileError
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore_options import RestoreOptions
from .decoded_frames import DecodedFrame, numbered
from .face_plan import CropTransforms, FacePlan
from .first_pass import find_and_align
from .pixel_formats import plane_arrays
from .read_video import VideoReader, open_video
from .steady_alignment import Smoothing, crop_transform
from .steady_crops import CropCutter
from .video_options import VideoOptions, VideoProgress, VideoStep

if TYPE_CHECKING:
    import av


@dataclass(frozen=True, eq=False)
class ClipPlan:
    """The registered faces of a video file, and the timestamps and checksums that identify its frames.

    ``timestamps`` are in units of the time base of the video stream. ``checksums`` are the results of ``checksum`` for the frames.
    ``damage`` describes the parts that could not be decoded, and is empty if there are none.
    """

    faces: FacePlan
    timestamps: Sequence[int]
    checksums: Sequence[int]
    shot_count: int
    damage: str

    def __len__(self) -> int:
        return len(self.timestamps)


class FrameChangedError(VideoFileError):
    """Raised when a frame cannot be found, or differs from the frame in the first pass."""


@torch.no_grad()
def plan_clip(
    source: str | Path,
    models: RestorationModels,
    options: RestoreOptions | None = None,
    video: VideoOptions | None = None,
    *,
    progress: VideoProgress | None = None,
) -> ClipPlan:
    """Find, follow, align and register the faces of the video file ``source``, as ``restore_segment`` needs them.

    Reads the file twice; memory does not grow with its length except for a few numbers for each face and frame. ``progress`` may
    raise to stop. Raises VideoFileError for files that cannot be read, and NoFaceError if the options require a face but none
    is found.
    """
    options, video = options or RestoreOptions(), video or VideoOptions()
    check_type(models, RestorationModels, "models")
    check_type(options, RestoreOptions, "options")
    check_type(video, VideoOptions, "video")
    source = Path(source)
    first = find_and_align(source, models, options, video, progress)
    checksums: list[int] = []
    with open_video(source) as reader:
        frames = _checked(reader, first.timestamps, checksums, progress)
        faces = _registered(frames, first.faces, models, registers=video.smoothing is not Smoothing.NONE)
    return ClipPlan(faces, first.timestamps, checksums, first.shot_count, first.damage)


def planned_frames(
    reader: VideoReader, plan: ClipPlan, start: int, stop: int, *, seeks: bool
) -> Iterator[DecodedFrame]:
    """Yield the frames from ``start`` up to, but not including, ``stop``.

    With ``seeks``, decoding starts at a key frame, which some files do not allow. Otherwise, it starts at the beginning of the
    file. Raises FrameChangedError if ``seeks`` needs an index that the file does not have, or if a frame is missing or differs from
    the planned one.
    """
    if seeks and start and not reader.seek(plan.timestamps[start]):
        raise FrameChangedError(f"{reader.path} has no index.")
    expected = start
    for frame in numbered(reader.frames(), plan.timestamps):
        if frame.index < start:
            continue
        if frame.index != expected or checksum(frame.frame) != plan.checksums[expected]:
            break
        yield frame
        expected += 1
        if expected == stop:
            return
    raise FrameChangedError(
        f"Frame {expected} of {reader.path} differs from the first pass over the video. If the file changed, plan it again."
    )


def checksum(frame: av.VideoFrame) -> int:
    """Return the CRC-32 of the first plane of a decoded planar frame."""
    return zlib.crc32(plane_arrays(frame)[0].tobytes())


def _checked(
    reader: VideoReader, timestamps: Sequence[int], checksums: list[int], progress: VideoProgress | None
) -> Iterator[DecodedFrame]:
    """Yield the frames and append their checksums to ``checksums``. Raise FrameChangedError unless they have ``timestamps``."""
    for frame in numbered(reader.frames(), timestamps):
        if frame.index != len(checksums):
            raise FrameChangedError(f"Frame {len(checksums)} of {reader.path} changed while the video was read.")
        checksums.append(checksum(frame.frame))
        if progress is not None:
            progress(VideoStep.REGISTER, len(checksums), len(timestamps))
        yield frame
    if len(checksums) < len(timestamps):
        raise FrameChangedError(f"{reader.path} became shorter while it was read.")


def _registered(
    frames: Iterator[DecodedFrame], plan: FacePlan, models: RestorationModels, *, registers: bool
) -> FacePlan:
    """Return ``plan`` with the transforms with which ``CropCutter`` cuts the faces of successive frames.

    All ``frames`` are read, also without ``registers``, because reading them records their checksums.
    """
    size = models.crop_size_for(plan.sides)
    cutter = CropCutter(size, next(models.generator.parameters()).device, registers=registers)
    transforms = [torch.stack([crop_transform(one, size) for one in of_track]) for of_track in plan.transforms]
    for frame in frames:
        if not registers or frame.index in plan.repeats:
            continue
        for planned in plan.faces_in(frame.index, size):
            cut = cutter.cut(frame.to_read(), planned)
            if cut is not None:
                index = frame.index - plan.tracks[planned.track].start
                transforms[planned.track][index] = cut.aligned.image_to_crop
    return replace(plan, registered=CropTransforms(size, transforms))
