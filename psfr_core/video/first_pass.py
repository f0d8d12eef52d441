"""First pass over a video file: find, follow and align its faces."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ..errors import VideoFileError
from ..read_ahead import read_ahead
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore_options import RestoreOptions
from .decoded_frames import upright_colors
from .face_plan import FacePlan
from .find_faces import check_found, find_faces
from .read_video import FrameSample, open_video
from .video_options import VideoOptions, VideoProgress

_FRAMES_BETWEEN_THREADS = 8  # maximum number of decoded frames that wait for the detector


@dataclass(frozen=True, eq=False)
class FirstPass:
    """The faces of a video, and its first frame as a sample.

    ``timestamps`` are in units of the time base of the video stream. ``damage`` describes the parts that could not be decoded,
    and is empty if there are none.
    """

    faces: FacePlan
    sample: FrameSample
    timestamps: list[int]
    shot_count: int
    damage: str


def find_and_align(
    source: Path,
    models: RestorationModels,
    options: RestoreOptions,
    video: VideoOptions,
    progress: VideoProgress | None = None,
) -> FirstPass:
    """Find and align the faces of all frames of ``source``.

    Raises VideoFileError if it cannot be read, and NoFaceError if the options require a face but none is found.
    """
    timestamps: list[int] = []
    with open_video(source) as reader:
        decoded = upright_colors(reader, timestamps)
        with closing(read_ahead(decoded, lambda frame: frame, lambda _: 1, _FRAMES_BETWEEN_THREADS)) as frames:
            found = find_faces(
                frames, models, options, video, progress=progress, estimated_frames=reader.estimated_frames
            )
        sample, damage = reader.sample, reader.damage.describe()
    if sample is None:
        raise VideoFileError(f"{source} has no frame that can be decoded.")
    check_found(found, options, str(source))
    plan = FacePlan.of(found, video.smoothing, sample.quarters)
    return FirstPass(plan, sample, timestamps, len(found.cuts) + 1, damage)
