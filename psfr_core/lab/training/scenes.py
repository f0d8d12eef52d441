"""Made-up group photos for training a face detector: cut-out faces of known landmarks on face-free backgrounds."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image, ImageFilter
from torch import Tensor

from ...errors import ImageFileError, TrainingError
from ...faces.face import Face
from ...images.box import Box
from ...images.decoding import opened
from ...parsing.labels import FaceRegion, RegionGroup
from ..degradation import operations
from .face_files import list_images, unreadable
from .face_samples import FaceSet
from .occluders import occlude

logger = logging.getLogger(__name__)

BACKGROUND_SIDE = 1024  # backgrounds are kept in memory with this longer side
MIN_FACE_PX = 9.0  # faces below this are pasted nowhere
TYPICAL_FACE_PX = (12.0, 180.0)  # larger ones are found in a smaller view of the picture
LEGIBLE_FACE_PX = 10.0  # a face still looks like one when reduced to this
MAX_FACES, MAX_DISTRACTORS = 20, 8
OCCLUDED_SHARE = 0.35  # of the faces
HIDDEN_LIMIT = 0.25  # a pasted body may cover this part of an earlier face's box


@dataclass(frozen=True, eq=False)
class CutOut:
    """One face to paste: RGBA picture, its box and landmarks (5, 2) in pixels of the picture."""

    picture: Image.Image
    box: Box
    landmarks: np.ndarray


def make_distractors(faces: FaceSet) -> list[Image.Image]:
    """Pieces of the pictures that show hair, ears, necks and clothes, but no eye, nose or mouth: what is no face."""
    side = faces.images.shape[-1]
    of_face = torch.zeros(len(FaceRegion), dtype=torch.bool)
    of_face[[*(RegionGroup.FACE.regions - {FaceRegion.SKIN})]] = True
    pieces: list[Image.Image] = []
    for image, labels in zip(faces.images, faces.labels, strict=True):
        parts = of_face[labels.long()]
        if not bool(parts.any()):
            continue
        rows, columns = (parts.any(dim=dim).nonzero() for dim in (1, 0))
        top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        for box in ((0, 0, side, top), (0, bottom, side, side), (0, 0, left, side), (right, 0, side, side)):
            if min(box[2] - box[0], box[3] - box[1]) >= side // 8:
                pieces.append(picture.crop(box))
    return pieces


class Scene(NamedTuple):
    """A picture (3, S, S) in [0, 1] with all its faces: boxes (N, 4), landmarks (N, 5, 2), in its pixels."""

    image: Tensor
    boxes: np.ndarray
    landmarks: np.ndarray


def make_cut_outs(faces: FaceSet, found: Sequence[Sequence[Face]]) -> list[CutOut]:
    """Faces cut along their parse map, with the most central detection of each.

    Faces without detection are left out, which is logged; TrainingError when that leaves none.
    """
    cut_outs: list[CutOut] = []
    for image, labels, candidates in zip(faces.images, faces.labels, found, strict=True):
        if not candidates:
            continue
        side = image.shape[-1]
        face = min(candidates, key=lambda c: math.dist(c.box.center, (side / 2, side / 2)))
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        alpha = Image.fromarray((labels.numpy() != 0).astype(np.uint8) * 255)
        picture.putalpha(alpha.filter(ImageFilter.MinFilter(5)).filter(ImageFilter.GaussianBlur(2)))
        cut_outs.append(CutOut(picture, face.box, face.landmarks.numpy()))
    if not cut_outs:
        raise TrainingError(
            f"The teacher finds a face in none of the {len(faces)} pictures: give another, or aligned faces."
        )
    if len(cut_outs) < len(faces):
        logger.warning(
            "%d of %d faces are left out: the teacher finds none there", len(faces) - len(cut_outs), len(faces)
        )
    return cut_outs


def load_backgrounds(folders: Sequence[Path]) -> list[Image.Image]:
    """All pictures of the folders, reduced to a longer side of 1024 pixels; TrainingError for one that cannot be read."""
    pictures: list[Image.Image] = []
    for folder in folders:
        for path in list_images(folder):
            try:
                with opened(path) as picture:
                    picture.draft("RGB", (BACKGROUND_SIDE, BACKGROUND_SIDE))
                    reduced = picture.convert("RGB")
            except ImageFileError as error:
                raise unreadable(path, error) from error
            reduced.thumbnail((BACKGROUND_SIDE, BACKGROUND_SIDE))
            pictures.append(reduced)
    return pictures


class Scenes:
    """An endless, repeatable series of scenes: scene ``i`` is the same in every run with the same seed."""

    def __init__(
        self,
        cut_outs: Sequence[CutOut],
        distractors: Sequence[Image.Image],
        backgrounds: Sequence[Image.Image],
        *,
        side: int,
        seed: int,
    ) -> None:
        self._cut_outs = cut_outs
        self._distractors = distractors
        self._backgrounds = backgrounds
        self._side = side
        self._seed = seed

    def __getitem__(self, index: int) -> Scene:
        with torch.autocast("cpu", enabled=False):  # a training step in half precision must not round the samples
            return self._scene(index)

    def _scene(self, index: int) -> Scene:
        random = np.random.default_rng((self._seed, index))
        canvas = self._background(random)
        for _ in range(int(random.integers(0, MAX_DISTRACTORS + 1))):
            self._paste_distractor(canvas, random)
        placed: list[tuple[Box, np.ndarray]] = []
        # One typical size a picture, as in group photos; lone big faces and crowds both occur.
        typical_px = math.exp(random.uniform(*np.log(TYPICAL_FACE_PX)))
        wanted = 0 if random.random() < 0.12 else int(random.integers(1, 2 + int(0.35 * self._side / typical_px) ** 2))
        for _ in range(min(wanted, MAX_FACES)):
            self._paste_one(canvas, placed, typical_px * random.uniform(0.7, 1.4), random)
        image = _photographed(canvas, typical_px / LEGIBLE_FACE_PX, random)
        return Scene(
            image,
            np.array([box for box, _ in placed], np.float32).reshape(-1, 4),
            np.array([points for _, points in placed], np.float32).reshape(-1, 5, 2),
        )

    def _background(self, random: Generator) -> Image.Image:
        if random.random() < 0.1:
            return Image.new("RGB", (self._side, self._side), tuple(int(v) for v in random.integers(0, 256, 3)))
        picture = self._backgrounds[int(random.integers(len(self._backgrounds)))]
        part = random.uniform(0.15, 1.0) * min(picture.size)
        left, top = (random.uniform(0, length - part) for length in picture.size)
        size = (self._side, self._side)
        return picture.resize(size, Image.Resampling.BILINEAR, box=(left, top, left + part, top + part))

    def _paste_distractor(self, canvas: Image.Image, random: Generator) -> None:
        piece = self._distractors[int(random.integers(len(self._distractors)))]
        scale = math.exp(random.uniform(math.log(12), math.log(0.6 * self._side))) / min(piece.size)
        width, height = (max(round(length * scale), 4) for length in piece.size)
        piece = _recolored(piece.resize((width, height), Image.Resampling.BILINEAR), random)
        piece.putalpha(255)
        piece = piece.rotate(random.uniform(0, 360), Image.Resampling.BILINEAR, expand=True)
        left, top = (round(random.uniform(-0.5, 1.0) * self._side) for _ in range(2))
        canvas.paste(piece, (left, top), piece)

    def _paste_one(
        self, canvas: Image.Image, placed: list[tuple[Box, np.ndarray]], face_px: float, random: Generator
    ) -> None:
        cut_out = self._cut_outs[int(random.integers(len(self._cut_outs)))]
        scale = max(face_px, MIN_FACE_PX) / math.sqrt(cut_out.box.area)
        if random.random() < OCCLUDED_SHARE:
            picture = cut_out.picture.copy()
            occlude(picture, cut_out.landmarks, self._backgrounds, random)
            cut_out = replace(cut_out, picture=picture)
        patch, box, landmarks = _posed(cut_out, scale, random)
        # The face's center lies inside the picture; its borders may be cut.
        left, top = (round(random.uniform(0.05, 0.95) * self._side - middle) for middle in box.center)
        box = Box(box.left + left, box.top + top, box.right + left, box.bottom + top)
        ink = Image.new("L", canvas.size)
        ink.paste(patch.getchannel("A"), (left, top))
        alpha = np.asarray(ink, np.float32) / 255
        if any(_covered(alpha, other) > HIDDEN_LIMIT for other, _ in placed) or any(
            _overlap(box, o) for o, _ in placed
        ):
            return
        canvas.paste(patch, (left, top), patch)
        placed.append((box, landmarks + np.array([left, top])))


def _posed(cut_out: CutOut, scale: float, random: Generator) -> tuple[Image.Image, Box, np.ndarray]:
    """The cut-out mirrored at random, scaled, turned and recolored, with its box and landmarks."""
    picture, box, landmarks = cut_out.picture, cut_out.box, cut_out.landmarks
    side = picture.width
    if random.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        box = Box(side - box.right, box.top, side - box.left, box.bottom)
        landmarks = np.stack([side - 1 - landmarks[:, 0], landmarks[:, 1]], 1)[[1, 0, 2, 4, 3]]
    if random.random() < 0.25:  # keep the picture's own background
        picture.putalpha(Image.new("L", picture.size, 255))
    new_side = max(round(side * scale), 4)
    picture = picture.resize((new_side, new_side), Image.Resampling.BILINEAR)
    picture = Image.merge("RGBA", [*_recolored(picture, random).split(), picture.getchannel("A")])
    angle = random.normal(0, 12) if random.random() < 0.85 else random.uniform(-50, 50)
    picture = picture.rotate(angle, Image.Resampling.BILINEAR)
    middle = (new_side - 1) / 2
    landmarks = (landmarks + 0.5) * new_side / side - 0.5
    center = (np.array(box.center)) * new_side / side
    turn = math.radians(angle)  # anticlockwise on the screen, y down
    rotation = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    landmarks = (landmarks - middle) @ rotation.T + middle
    center = (center - middle) @ rotation.T + middle
    half_width, half_height = box.width * new_side / side / 2, box.height * new_side / side / 2
    box = Box(center[0] - half_width, center[1] - half_height, center[0] + half_width, center[1] + half_height)
    return picture, box, landmarks


def _recolored(picture: Image.Image, random: Generator) -> Image.Image:
    gain, gamma = random.uniform(0.6, 1.3), random.uniform(0.7, 1.4)
    table = np.clip(255 * gain * (np.arange(256) / 255) ** gamma, 0, 255).astype(np.uint8)
    return picture.convert("RGB").point(list(table) * 3)


def _covered(alpha: np.ndarray, box: Box) -> float:
    side = len(alpha)
    rows = slice(max(int(box.top), 0), min(math.ceil(box.bottom), side))
    columns = slice(max(int(box.left), 0), min(math.ceil(box.right), side))
    return float(alpha[rows, columns].mean()) if alpha[rows, columns].size else 0.0


def _overlap(box: Box, other: Box) -> bool:
    width = min(box.right, other.right) - max(box.left, other.left)
    height = min(box.bottom, other.bottom) - max(box.top, other.top)
    return width > 0 and height > 0 and width * height > 0.1 * min(box.area, other.area)


def _photographed(canvas: Image.Image, most_reduction: float, random: Generator) -> Tensor:
    """The scene (3, S, S) as an old or cheap camera would give it, at most ``most_reduction`` times too coarse."""
    if random.random() < 0.35:
        side = round(canvas.width / math.exp(random.uniform(0, math.log(max(most_reduction, 1)))))
        canvas = canvas.resize((side, side), Image.Resampling.BOX).resize(canvas.size, Image.Resampling.BICUBIC)
    image = torch.from_numpy(np.array(canvas)).permute(2, 0, 1).float() / 255
    if random.random() < 0.35:
        image = operations.grey(image)
        image = ((image - 0.5) * random.uniform(0.6, 1.2) + random.uniform(0.35, 0.65)).clamp(0, 1)
    if random.random() < 0.4:
        image = operations.gaussian_blur(image, random.uniform(0.3, 1.3))
    if random.random() < 0.4:
        image = operations.add_noise(
            image, random.uniform(0.0, 0.08), bool(random.random() < 0.5), int(random.integers(2**31))
        )
    if random.random() < 0.1:  # a dark photo, stretched as the search does
        dark = (image * random.uniform(0.04, 0.3) * 255).round()
        image = dark / dark.max().clamp(min=1)
    if random.random() < 0.6:
        image = operations.jpeg(image, int(random.integers(35, 95)))
    return image.clamp(0, 1)
