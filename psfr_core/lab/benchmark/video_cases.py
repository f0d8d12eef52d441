"""Compare restoring a video with restoring its frames one by one, and measure the share of each step."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ...faces.detector import BUNDLED_DETECTOR
from ...images.box import Size
from ...images.resize import resize
from ...restoration.restoration_models import RestorationModels, load_models
from ...restoration.restore import restore_image
from ...restoration.restore_options import RestoreOptions
from ...video.decoded_frames import upright_colors
from ...video.encoding import EncodingOptions
from ...video.find_faces import find_faces
from ...video.read_video import open_video
from ...video.restore_video import restore_video
from ...video.video_options import VideoOptions
from ..clip_files import read_clip, write_clip
from .context import BenchmarkContext
from .measure import Measurement, compare, timed

_FRAMES = 12
_SIZE = Size(1280, 720)
_SIDE = 320  # side of the face in pixels
_QUALITY = 17  # constant rate factor of all files; higher values compress more


@torch.no_grad()
def video(context: BenchmarkContext) -> Iterator[Measurement]:
    """Compare ``restore_video`` with ``restore_image`` for each frame, from file to file, and measure single steps.

    The comparison is made for a face that moves without changing, and for one that also changes in each frame.
    """
    models = load_models(detector=BUNDLED_DETECTOR, device=context.device)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.mp4"
        for name, changes in (("video of a changing face", True), ("video", False)):
            source = Path(folder) / f"{name}.mp4"
            write_clip(source, _frames(context, changes=changes), _QUALITY)
            measured = _compared(name, source, target, models, context.repeats)
            yield measured
        yield from _steps(source, target, models, measured.seconds)


def _compared(name: str, source: Path, target: Path, models: RestorationModels, repeats: int) -> Measurement:
    options = VideoOptions(encoding=EncodingOptions(quality=_QUALITY))
    measured = compare(
        name,
        lambda: restore_video(source, target, models, video=options),
        "frame by frame",
        lambda: write_clip(target, [restore_image(frame, models).image for frame in read_clip(source)], _QUALITY),
        repeats,
    )
    speed, before = (_FRAMES / seconds for seconds in (measured.seconds, measured.baseline_seconds or 1))
    text = f"{speed:.1f} frames per second, frame by frame {before:.1f}, {_SIZE.width}x{_SIZE.height}"
    return replace(measured, note=text)


def _steps(source: Path, target: Path, models: RestorationModels, total: float) -> Iterator[Measurement]:
    """Measure decoding, detection and encoding separately; the rest of the ``total`` seconds is parsing, restoring and pasting."""
    frames = read_clip(source)
    decoding = timed(lambda: read_clip(source))
    encoding = timed(lambda: write_clip(target, frames, _QUALITY))
    finding = timed(lambda: _find(source, models)) - decoding
    steps = {"decoding, twice": 2 * decoding, "finding faces": finding, "encoding": encoding}
    # The steps overlap, so their sum may exceed the total.
    steps["parsing, restoring and pasting"] = max(total - sum(steps.values()), 0.0)
    for name, seconds in steps.items():
        yield Measurement(f"video: {name}", seconds, note=f"{100 * seconds / total:.0f} % of the time")


def _find(source: Path, models: RestorationModels) -> None:
    with open_video(source) as reader:
        find_faces(upright_colors(reader, []), models, RestoreOptions(), VideoOptions())


def _frames(context: BenchmarkContext, *, changes: bool) -> list[Tensor]:
    """Return frames in which the first image of ``context``, or a smooth image if there is none, moves to the right.

    If ``changes`` is true, the moving image is darker in every second frame.
    """
    torch.manual_seed(0)
    face = context.images[0][None] if context.images else resize(torch.rand(1, 3, 16, 16), (_SIDE, _SIDE))
    face = resize(face, (_SIDE, _SIDE))[0].clamp(0, 1)
    background = resize(torch.rand(1, 3, 9, 16), _SIZE)[0].clamp(0, 1)
    frames = background.repeat(_FRAMES, 1, 1, 1)
    for index, frame in enumerate(frames):
        frame[:, 200 : 200 + _SIDE, 300 + 5 * index : 300 + 5 * index + _SIDE] = face * (
            0.9 if changes and index % 2 else 1
        )
    return list(frames)
