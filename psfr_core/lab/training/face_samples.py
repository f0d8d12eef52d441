"""Make training samples: load clean faces with labels, and augment and degrade them on access."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from ...checks import seeded_generator
from ...errors import OptionError
from ...parsing.parse_map import ParseMap
from ..degradation.closed_eyes import close_eyes
from ..degradation.config import DegradationConfig
from ..degradation.pipeline import degrade
from .face_files import FaceFile, find_checked_face_files

MAX_BYTES_IN_MEMORY = 4 * 2**30
MIN_VISIBLE_FRACTION = 0.65  # fraction of the change caused by drawn lids that must remain after degradation


class Faces(Protocol):
    """Sequence of aligned faces with their labels."""

    def __len__(self) -> int: ...

    def face(self, index: int) -> tuple[Tensor, Tensor]:
        """Return the image (3, S, S) and the labels (S, S) of one face, both uint8."""
        ...


@dataclass(frozen=True, eq=False)
class FaceSet:
    """Aligned faces in memory: ``images`` (N, 3, S, S) and ``labels`` (N, S, S), both uint8."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def face(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]


@dataclass(frozen=True, eq=False)
class FacesOnDisk:
    """Aligned faces that are read from disk at each access."""

    files: Sequence[FaceFile]
    size: int

    def __len__(self) -> int:
        return len(self.files)

    def face(self, index: int) -> tuple[Tensor, Tensor]:
        return self.files[index].read(self.size)


class FaceSample(NamedTuple):
    """One sample or a batch: ``lq`` and ``hq`` (..., 3, S, S), RGB in [0, 1], and ``labels`` (..., S, S), int64."""

    lq: Tensor
    hq: Tensor
    labels: Tensor


def load_face_set(
    image_folders: Sequence[Path], label_folders: Sequence[Path], size: int, *, skip_small: bool = False
) -> FaceSet:
    """Load all faces in the folders into memory at ``size`` pixels. See ``find_face_files`` for the folders.

    ``skip_small`` leaves out faces smaller than ``size`` with a warning. No other face is skipped. Raises TrainingError if a folder
    is empty, a file is unreadable, a face has no labels, or a face is too small and ``skip_small`` is false.
    """
    return _load(find_checked_face_files(image_folders, label_folders, size, skip_small=skip_small), size)


def open_face_set(
    image_folders: Sequence[Path], label_folders: Sequence[Path], size: int, *, skip_small: bool = False
) -> Faces:
    """Load the faces as ``load_face_set`` does, but read them from disk at each access if they need more than 4 GiB of memory.

    In that case, only the headers of the files are checked in advance.
    """
    files = find_checked_face_files(image_folders, label_folders, size, skip_small=skip_small)
    is_small = len(files) * 4 * size * size <= MAX_BYTES_IN_MEMORY
    return _load(files, size) if is_small else FacesOnDisk(files, size)


def _load(files: Sequence[FaceFile], size: int) -> FaceSet:
    images, labels = zip(*(file.read(size) for file in files), strict=True)
    return FaceSet(torch.stack(images), torch.stack(labels))


class FaceSamples(Dataset[FaceSample]):
    """Endless, reproducible series of augmented samples. Item ``i`` depends only on the seed and ``i``.

    Each sample has one of ``degradations``, which are equally likely. ``closed_eyes`` is the fraction of samples, 0 to 1, whose
    eyes are drawn closed or narrowed. The eyes stay open if the degradation would hide the lids. Raises OptionError if
    ``closed_eyes`` is out of range.
    """

    def __init__(
        self, faces: Faces, degradations: Sequence[DegradationConfig], *, seed: int, closed_eyes: float = 0.0
    ) -> None:
        if not 0.0 <= closed_eyes <= 1.0:
            raise OptionError(f"closed_eyes must be between 0 and 1, got {closed_eyes}.")
        self._faces = faces
        self._degradations = degradations
        self._seed = seed
        self._closed_eyes = closed_eyes

    def __getitem__(self, index: int) -> FaceSample:
        generator = _generator(self._seed, index)
        image, labels = self._faces.face(int(torch.randint(len(self._faces), (), generator=generator)))
        with torch.autocast("cpu", enabled=False):  # the training step's autocast must not round the samples
            hq = image.float() / 255
            # without closed eyes, no random number is drawn here, so that older runs stay reproducible
            if self._closed_eyes and float(torch.rand((), generator=generator)) < self._closed_eyes:
                return self._with_closed_eyes(hq, labels, generator)
            return self._augmented(hq, labels, generator)

    def _with_closed_eyes(self, hq: Tensor, labels: Tensor, generator: torch.Generator) -> FaceSample:
        """Return the sample with drawn lids, or the unchanged face if the degradation hides the lids."""
        drawn = close_eyes(hq, labels, generator)
        state = generator.get_state()
        closed = self._augmented(*drawn, generator)
        unchanged = self._augmented(hq, labels, generator.set_state(state))
        # most eyes are open, so the parser should label eyes as open if they are too blurred
        return closed if shows_lids(closed, unchanged) else unchanged

    def _augmented(self, hq: Tensor, labels: Tensor, generator: torch.Generator) -> FaceSample:
        hq, labels = _jitter(hq, labels, generator)
        return _degraded(hq, labels, self._degradations, generator)


def degraded_once(faces: Faces, degradations: Sequence[DegradationConfig], *, seed: int, count: int) -> FaceSample:
    """Return the first ``count`` faces as one batch, degraded but not augmented.

    Each face has one of ``degradations``, which are equally likely. The degradations depend only on ``seed``.
    """
    samples: list[FaceSample] = []
    for index in range(count):
        image, labels = faces.face(index)
        samples.append(_degraded(image.float() / 255, labels, degradations, _generator(seed, index)))
    return FaceSample(*(torch.stack(parts) for parts in zip(*samples, strict=True)))


def _generator(seed: int, index: int) -> torch.Generator:
    """Return the random generator of one sample."""
    return seeded_generator(seed * 1_000_003 + index)


def _degraded(
    hq: Tensor, labels: Tensor, degradations: Sequence[DegradationConfig], generator: torch.Generator
) -> FaceSample:
    # a single degradation draws no random number here, so that older runs stay reproducible
    drawn = int(torch.randint(len(degradations), (), generator=generator)) if len(degradations) > 1 else 0
    pair = degrade(hq, degradations[drawn], generator)
    return FaceSample(pair.lq, pair.hq, labels.long())


def shows_lids(closed: FaceSample, unchanged: FaceSample) -> bool:
    """Return whether the drawn lids of ``closed`` are still visible after degradation.

    ``unchanged`` is the same sample without drawn lids.
    """
    is_lid = closed.labels != unchanged.labels
    drawn, left = (closed.hq - unchanged.hq).abs(), (closed.lq - unchanged.lq).abs()
    return bool(left[:, is_lid].sum() > MIN_VISIBLE_FRACTION * drawn[:, is_lid].sum())


def _jitter(image: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rotate, scale and shift a sample slightly, as imperfect alignment does, and vary its color.

    The sample is also mirrored with probability 0.5.
    """
    rotation, scale, shift_x, shift_y, gain, gamma, tint_r, tint_b = (
        2 * torch.rand(8, generator=generator) - 1
    ).tolist()
    if torch.rand((), generator=generator) < 0.5:
        image, labels = image.flip(-1), ParseMap(labels[None]).mirrored().labels[0]
    angle, zoom = math.radians(5 * rotation), 1 + 0.06 * scale
    matrix = torch.tensor(
        [
            [zoom * math.cos(angle), -zoom * math.sin(angle), 0.06 * shift_x],
            [zoom * math.sin(angle), zoom * math.cos(angle), 0.06 * shift_y],
        ]
    )
    grid = F.affine_grid(matrix[None], [1, 1, *labels.shape], align_corners=False)
    image = F.grid_sample(image[None], grid, mode="bicubic", padding_mode="border", align_corners=False)[0]
    moved = F.grid_sample(labels[None, None].float(), grid, mode="nearest", padding_mode="border", align_corners=False)
    tint = torch.tensor([1 + 0.04 * tint_r, 1.0, 1 + 0.04 * tint_b])[:, None, None]
    image = (image * tint * (1 + 0.1 * gain)).clamp(0, 1) ** (1 + 0.15 * gamma)
    return image, moved[0, 0].to(labels.dtype)
