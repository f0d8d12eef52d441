"""Restore the faces of a video and write its frames as numbered image files."""

from __future__ import annotations

from pathlib import Path

import torch

from ..images.io import write_image
from ..restoration.restoration_models import RestorationModels
from ..restoration.restore_options import RestoreOptions
from ..write_behind import write_each
from .decoded_frames import DecodedFrame, numbered
from .first_pass import find_and_align
from .frame_images import frame_to_image, numbered_path
from .read_video import open_video
from .restore_frames import restore_frames
from .restore_video import VideoResult, result_of
from .video_options import VideoOptions, VideoProgress

_IMAGES_BETWEEN_THREADS = 4  # maximum number of restored frames that wait to be written


@torch.no_grad()
def restore_video_to_images(
    source: str | Path,
    pattern: str | Path,
    models: RestorationModels,
    options: RestoreOptions | None = None,
    video: VideoOptions | None = None,
    *,
    progress: VideoProgress | None = None,
) -> VideoResult:
    """Restore the video file ``source`` and write its frames to images, numbered from 1.

    ``pattern`` is the path of the images, such as ``frames/%06d.png``. The images are upright, and mirrored if players mirror the
    video. They have 8 bits, or 16 if the video has more. Gray and alpha are kept; timestamps and sound are lost. Each image
    appears when it is complete, and stays after an error. Raises the errors of ``restore_video`` and ``write_image``, and
    OptionError unless the name of ``pattern`` has exactly one placeholder for a number.
    """
    options, video = options or RestoreOptions(), video or VideoOptions()
    source, pattern = Path(source), Path(pattern)
    numbered_path(pattern, 1)  # raises errors before hours of work
    first = find_and_align(source, models, options, video, progress)
    pattern.parent.mkdir(parents=True, exist_ok=True)
    with open_video(source) as reader:
        frames = numbered(reader.frames(), first.timestamps)
        restored = restore_frames(frames, first.faces, models, options, video, progress)

        def write(numbered_frame: tuple[int, DecodedFrame]) -> None:
            number, frame = numbered_frame
            image = frame_to_image(frame.frame, first.sample.quarters, is_mirrored=first.sample.is_mirrored)
            write_image(numbered_path(pattern, number), image)

        write_each(enumerate(restored, start=1), write, limit=_IMAGES_BETWEEN_THREADS)
    return result_of(first.faces, first.shot_count, reader.damage.describe())
