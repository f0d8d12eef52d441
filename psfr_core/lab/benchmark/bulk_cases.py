"""Compare ``restore_files``, which overlaps reading, restoring and writing, with restoring one file after the other."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ...bulk.restore_files import FileJob, restore_files
from ...faces.detector import BUNDLED_DETECTOR
from ...faces.face import Face
from ...faces.template import template_for
from ...images.box import Box
from ...images.io import ImageFile, read_image, write_image
from ...images.resize import resize
from ...networks.face_restorer import FaceRestorer
from ...networks.parse_net import ParseNet, ParseNetConfig
from ...restoration.restoration_models import RestorationModels, load_models
from ...restoration.restore import restore_image
from .context import BenchmarkContext
from .measure import Measurement, compare

_FILES = 12
_WIDTH, _HEIGHT, _SIDE = 1280, 960, 256  # width and height of the photos, and side of the face, in pixels
_GPU_SECONDS = 0.01  # time that the simulated restorer needs for each batch


def bulk(context: BenchmarkContext) -> Iterator[Measurement]:
    """Compare ``restore_files`` with a loop of ``restore_image``, from JPEG to PNG files.

    The second measurement simulates a GPU with models that wait instead of computing, so the CPU does only the other work.
    """
    models = {
        "bundled models": load_models(detector=BUNDLED_DETECTOR, device=context.device),
        "simulated models": RestorationModels(
            _WaitingRestorer().eval(), ParseNet(ParseNetConfig((4, 6), 1)).eval(), _OneFaceDetector()
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        jobs = _write_photos(Path(folder), context)
        for name, restorers in models.items():
            measured = compare(
                f"{_FILES} files, {name}",
                lambda restorers=restorers: [*restore_files(jobs, restorers)],
                "one after the other",
                lambda restorers=restorers: _one_after_the_other(jobs, restorers),
                context.repeats,
            )
            yield replace(measured, note=f"{_FILES / measured.seconds:.1f} files per second, {_WIDTH}x{_HEIGHT}")


def _one_after_the_other(jobs: Sequence[FileJob], models: RestorationModels) -> None:
    for job in jobs:
        before = read_image(job.source)
        write_image(job.target, replace(before, pixels=restore_image(before.pixels, models).image))


def _write_photos(folder: Path, context: BenchmarkContext) -> list[FileJob]:
    """Write JPEG files that show the first image of ``context``, or a smooth image if there is none. Return their jobs."""
    torch.manual_seed(0)
    face = context.images[0][None] if context.images else resize(torch.rand(1, 3, 16, 16), (_SIDE, _SIDE))
    jobs: list[FileJob] = []
    for number in range(_FILES):
        photo = resize(torch.rand(1, 3, _HEIGHT // 8, _WIDTH // 8), (_WIDTH, _HEIGHT))[0]
        photo[:, 300 : 300 + _SIDE, 500 : 500 + _SIDE] = resize(face, (_SIDE, _SIDE))[0]
        job = FileJob(folder / f"{number}.jpg", folder / f"{number}.png")
        write_image(job.source, ImageFile(photo.clamp(0, 1)))
        jobs.append(job)
    return jobs


class _OneFaceDetector:
    """Detector that finds one face at a fixed position in each image."""

    def detect(self, images: Tensor, *_: object, **__: object) -> list[list[Face]]:
        landmarks = template_for(_SIDE).float() + torch.tensor([500.0, 300.0])
        return [[Face(Box(540, 340, 720, 520), landmarks, 0.99)] for _ in images]


class _WaitingRestorer(FaceRestorer):
    """Restorer that waits as long as a GPU needs for a batch, and returns its input."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    @property
    def size(self) -> int:
        return _SIDE

    def forward(self, lq: Tensor, parse_one_hot: Tensor | None = None) -> Tensor:
        time.sleep(_GPU_SECONDS)
        return lq
