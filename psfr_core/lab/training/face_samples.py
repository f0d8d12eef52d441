"""Training samples: clean faces with their parse maps, jittered, mirrored and degraded on the fly."""

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
from ..degradation.config import DegradationConfig
from ..degradation.pipeline import degrade
from .closed_eyes import close_eyes
from .face_files import FaceFile, find_face_files

MAX_BYTES_IN_MEMORY = 4 * 2**30
VISIBLE_SHARE = 0.65  # of the difference that lids make: with less, closed eyes look like open ones


class Faces(Protocol):
    """Aligned faces with their labels."""

    def __len__(self) -> int: ...

    def face(self, index: int) -> tuple[Tensor, Tensor]:
        """Image (3, S, S) and labels (S, S) of one of them, uint8."""
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
    """Aligned faces, each read when it is asked for."""

    files: Sequence[FaceFile]
    size: int

    def __len__(self) -> int:
        return len(self.files)

    def face(self, index: int) -> tuple[Tensor, Tensor]:
        return self.files[index].read(self.size)


class FaceSample(NamedTuple):
    """One sample or batch: ``lq`` and ``hq`` (.., 3, S, S) in [0, 1], ``labels`` (.., S, S) int64."""

    lq: Tensor
    hq: Tensor
    labels: Tensor


def load_face_set(image_folders: Sequence[Path], label_folders: Sequence[Path], size: int) -> FaceSet:
    """All faces of the folders at ``size`` pixels, in memory; see ``find_face_files`` for what lies where.

    Raises TrainingError when a folder is empty, a file is unreadable, a face too small or without labels: a set is never
    silently smaller.
    """
    return _load(_checked(find_face_files(image_folders, label_folders), size), size)


def open_face_set(image_folders: Sequence[Path], label_folders: Sequence[Path], size: int) -> Faces:
    """As ``load_face_set``, but sets that would take more than 4 GiB of memory stay on disk.

    Of those only the beginnings of the files are looked at before a face is asked for.
    """
    files = _checked(find_face_files(image_folders, label_folders), size)
    is_small = len(files) * 4 * size * size <= MAX_BYTES_IN_MEMORY
    return _load(files, size) if is_small else FacesOnDisk(files, size)


def _checked(files: Sequence[FaceFile], size: int) -> Sequence[FaceFile]:
    for file in files:
        file.check(size)
    return files


def _load(files: Sequence[FaceFile], size: int) -> FaceSet:
    images, labels = zip(*(file.read(size) for file in files), strict=True)
    return FaceSet(torch.stack(images), torch.stack(labels))


class FaceSamples(Dataset[FaceSample]):
    """An endless, repeatable series of jittered samples: item ``i`` is the same in every run with the same seed.

    ``closed_eyes`` is the share of samples, 0 to 1, whose eyes are drawn closed or narrow, as far as the degradation leaves
    that visible; OptionError for any other value.
    """

    def __init__(self, faces: Faces, degradation: DegradationConfig, *, seed: int, closed_eyes: float = 0.0) -> None:
        if not 0.0 <= closed_eyes <= 1.0:
            raise OptionError(f"closed_eyes must be between 0 and 1, got {closed_eyes}.")
        self._faces = faces
        self._degradation = degradation
        self._seed = seed
        self._closed_eyes = closed_eyes

    def __getitem__(self, index: int) -> FaceSample:
        generator = _generator(self._seed, index)
        image, labels = self._faces.face(int(torch.randint(len(self._faces), (), generator=generator)))
        with torch.autocast("cpu", enabled=False):  # a training step in half precision must not round the samples
            hq = image.float() / 255
            # Without closed eyes nothing is drawn here, so that earlier runs can be repeated.
            if self._closed_eyes and float(torch.rand((), generator=generator)) < self._closed_eyes:
                return self._with_closed_eyes(hq, labels, generator)
            return self._made(hq, labels, generator)

    def _with_closed_eyes(self, hq: Tensor, labels: Tensor, generator: torch.Generator) -> FaceSample:
        """Return the sample with drawn lids, or the face as it was where nobody could see them."""
        drawn = close_eyes(hq, labels, generator)
        state = generator.get_state()
        closed = self._made(*drawn, generator)
        as_it_was = self._made(hq, labels, generator.set_state(state))
        # Most eyes are open, so those too blurred to tell shall be taken as open.
        return closed if _shows_lids(closed, as_it_was) else as_it_was

    def _made(self, hq: Tensor, labels: Tensor, generator: torch.Generator) -> FaceSample:
        hq, labels = _jitter(hq, labels, generator)
        return _degraded(hq, labels, self._degradation, generator)


def degraded_once(faces: Faces, degradation: DegradationConfig, *, seed: int, count: int) -> FaceSample:
    """The first ``count`` of the faces as they are, as one batch: the same in every run with the same seed."""
    samples: list[FaceSample] = []
    for index in range(count):
        image, labels = faces.face(index)
        samples.append(_degraded(image.float() / 255, labels, degradation, _generator(seed, index)))
    return FaceSample(*(torch.stack(parts) for parts in zip(*samples, strict=True)))


def _generator(seed: int, index: int) -> torch.Generator:
    """The random numbers of one sample."""
    return seeded_generator(seed * 1_000_003 + index)


def _degraded(hq: Tensor, labels: Tensor, degradation: DegradationConfig, generator: torch.Generator) -> FaceSample:
    pair = degrade(hq, degradation, generator)
    return FaceSample(pair.lq, pair.hq, labels.long())


def _shows_lids(closed: FaceSample, as_it_was: FaceSample) -> bool:
    """Return whether enough of what drawn lids changed is left after the degradation."""
    is_lid = closed.labels != as_it_was.labels
    drawn, left = (closed.hq - as_it_was.hq).abs(), (closed.lq - as_it_was.lq).abs()
    return bool(left[:, is_lid].sum() > VISIBLE_SHARE * drawn[:, is_lid].sum())


def _jitter(image: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Half of the samples mirrored; all slightly turned, scaled, shifted and recolored, as imperfect alignment would."""
    turn, scale, shift_x, shift_y, gain, gamma, tint_r, tint_b = (2 * torch.rand(8, generator=generator) - 1).tolist()
    if torch.rand((), generator=generator) < 0.5:
        image, labels = image.flip(-1), ParseMap(labels[None]).mirrored().labels[0]
    angle, zoom = math.radians(5 * turn), 1 + 0.06 * scale
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
