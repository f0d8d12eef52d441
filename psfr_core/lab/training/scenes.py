"""Make synthetic group photos for training a face detector, by pasting cut-out faces onto backgrounds without faces."""

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

from ...checks import seeded_generator
from ...errors import ImageFileError, TrainingError
from ...faces.face import Face
from ...images.box import Box, Size
from ...images.decoding import opened
from ...images.similarity import compose_affines, resize_affine, transform_points
from ...parsing.labels import FaceRegion, RegionGroup
from ..degradation import operations
from ..degradation.old_photo import sample_old_photo
from ..degradation.old_photo_config import OldPhotoConfig
from ..degradation.sampler import Sampler
from .face_files import list_images, unreadable
from .face_samples import FaceSet
from .occluders import occlude

logger = logging.getLogger(__name__)

BACKGROUND_SIDE = 1024  # maximum side in pixels to which backgrounds are reduced
MIN_FACE_PX = 9.0  # minimum size of a pasted face, the square root of the area of its box
# Range of the typical face size of a scene. Larger faces are detected in smaller copies of an image.
TYPICAL_FACE_PX = (12.0, 180.0)
LEGIBLE_FACE_PX = 10.0  # minimum size at which a face is recognizable
OLD_PHOTO_FRACTION = 0.2  # fraction of scenes that look like scans of old photographs, if their faces are large enough
MIN_OLD_PHOTO_FACE_PX = 40.0  # minimum typical face size of such scenes
ALIGNED_FACE_PX = 200.0  # approximate face size in an aligned crop of 512 px, for which OldPhotoConfig gives lengths
MAX_FACES, MAX_DISTRACTORS = 20, 8
OCCLUDED_FRACTION = 0.35  # fraction of faces that are partly occluded
MAX_HIDDEN_FRACTION = 0.25  # maximum fraction of a face's box that a later face may cover


@dataclass(frozen=True, eq=False)
class CutOut:
    """Face to paste: an RGBA image with the box and landmarks (5, 2) of the face in pixels."""

    image: Image.Image
    box: Box
    landmarks: np.ndarray


def make_distractors(faces: FaceSet) -> list[Image.Image]:
    """Cut out image pieces with hair, ears, necks and clothes, but without eyes, nose and mouth, as negative examples."""
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
        photo = Image.fromarray(image.permute(1, 2, 0).numpy())
        for box in ((0, 0, side, top), (0, bottom, side, side), (0, 0, left, side), (right, 0, side, side)):
            if min(box[2] - box[0], box[3] - box[1]) >= side // 8:
                pieces.append(photo.crop(box))
    return pieces


class Scene(NamedTuple):
    """Image (3, S, S), RGB in [0, 1], with the boxes (N, 4) and landmarks (N, 5, 2) of all its faces in pixels."""

    image: Tensor
    boxes: np.ndarray
    landmarks: np.ndarray


def make_cut_outs(faces: FaceSet, found: Sequence[Sequence[Face]]) -> list[CutOut]:
    """Cut out each face along its parse map. ``found`` holds the detections in each image; the most central one is used.

    Images without detections are left out with a warning. Raises TrainingError if no face is left.
    """
    cut_outs: list[CutOut] = []
    for image, labels, candidates in zip(faces.images, faces.labels, found, strict=True):
        if not candidates:
            continue
        side = image.shape[-1]
        face = min(candidates, key=lambda c: math.dist(c.box.center, (side / 2, side / 2)))
        photo = Image.fromarray(image.permute(1, 2, 0).numpy())
        alpha = Image.fromarray((labels.numpy() != 0).astype(np.uint8) * 255)
        photo.putalpha(alpha.filter(ImageFilter.MinFilter(5)).filter(ImageFilter.GaussianBlur(2)))
        cut_outs.append(CutOut(photo, face.box, face.landmarks.numpy()))
    if not cut_outs:
        raise TrainingError(
            f"The teacher finds no face in any of the {len(faces)} images. Give another teacher, or aligned faces."
        )
    if len(cut_outs) < len(faces):
        missed = len(faces) - len(cut_outs)
        logger.warning("faces that the teacher does not find are left out: %d of %d", missed, len(faces))
    return cut_outs


def load_backgrounds(folders: Sequence[Path]) -> list[Image.Image]:
    """Load all images in the folders, reduced to at most 1024 pixels on the longer side.

    Raises TrainingError if an image cannot be read or a folder has no images.
    """
    return [read_background(path) for folder in folders for path in list_images(folder)]


def read_background(path: Path) -> Image.Image:
    """Read an RGB image, reduced to at most 1024 pixels on the longer side. Raise TrainingError if it cannot be read."""
    try:
        with opened(path) as image:
            image.draft("RGB", (BACKGROUND_SIDE, BACKGROUND_SIDE))
            reduced = image.convert("RGB")
    except ImageFileError as error:
        raise unreadable(path, error) from error
    reduced.thumbnail((BACKGROUND_SIDE, BACKGROUND_SIDE))
    return reduced


class Scenes:
    """Endless, reproducible series of scenes of ``side`` pixels. Scene ``i`` depends only on the seed and ``i``."""

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
        with torch.autocast("cpu", enabled=False):  # the training step's autocast must not round the samples
            return self._scene(index)

    def _scene(self, index: int) -> Scene:
        random = np.random.default_rng((self._seed, index))
        canvas = self._background(random)
        for _ in range(int(random.integers(0, MAX_DISTRACTORS + 1))):
            self._paste_distractor(canvas, random)
        placed: list[tuple[Box, np.ndarray]] = []
        # Faces of one image have similar sizes, as in group photos.
        typical_px = math.exp(random.uniform(*np.log(TYPICAL_FACE_PX)))
        wanted = 0 if random.random() < 0.12 else int(random.integers(1, 2 + int(0.35 * self._side / typical_px) ** 2))
        for _ in range(min(wanted, MAX_FACES)):
            self._paste_face(canvas, placed, typical_px * random.uniform(0.7, 1.4), random)
        image = _photographed(canvas, typical_px, random)
        return Scene(
            image,
            np.array([box for box, _ in placed], np.float32).reshape(-1, 4),
            np.array([points for _, points in placed], np.float32).reshape(-1, 5, 2),
        )

    def _background(self, random: Generator) -> Image.Image:
        if random.random() < 0.1:
            return Image.new("RGB", (self._side, self._side), tuple(int(v) for v in random.integers(0, 256, 3)))
        photo = self._backgrounds[int(random.integers(len(self._backgrounds)))]
        part = random.uniform(0.15, 1.0) * min(photo.size)
        left, top = (random.uniform(0, length - part) for length in photo.size)
        size = (self._side, self._side)
        return photo.resize(size, Image.Resampling.BILINEAR, box=(left, top, left + part, top + part))

    def _paste_distractor(self, canvas: Image.Image, random: Generator) -> None:
        piece = self._distractors[int(random.integers(len(self._distractors)))]
        scale = math.exp(random.uniform(math.log(12), math.log(0.6 * self._side))) / min(piece.size)
        width, height = (max(round(length * scale), 4) for length in piece.size)
        piece = _recolored(piece.resize((width, height), Image.Resampling.BILINEAR), random)
        piece.putalpha(255)
        piece = piece.rotate(random.uniform(0, 360), Image.Resampling.BILINEAR, expand=True)
        left, top = (round(random.uniform(-0.5, 1.0) * self._side) for _ in range(2))
        canvas.paste(piece, (left, top), piece)

    def _paste_face(
        self, canvas: Image.Image, placed: list[tuple[Box, np.ndarray]], face_px: float, random: Generator
    ) -> None:
        """Paste a random face of about ``face_px`` pixels, and append its box and landmarks to ``placed``.

        Nothing is pasted if the face would cover too much of an earlier face or overlap its box too much.
        """
        cut_out = self._cut_outs[int(random.integers(len(self._cut_outs)))]
        scale = max(face_px, MIN_FACE_PX) / math.sqrt(cut_out.box.area)
        if random.random() < OCCLUDED_FRACTION:
            image = cut_out.image.copy()
            occlude(image, cut_out.landmarks, self._backgrounds, random)
            cut_out = replace(cut_out, image=image)
        patch, box, landmarks = _posed(cut_out, scale, random)
        # the center of the face lies inside the scene, but its edges may lie outside
        left, top = (round(random.uniform(0.05, 0.95) * self._side - middle) for middle in box.center)
        box = Box(box.left + left, box.top + top, box.right + left, box.bottom + top)
        coverage = Image.new("L", canvas.size)
        coverage.paste(patch.getchannel("A"), (left, top))
        alpha = np.asarray(coverage, np.float32) / 255
        if any(_covered_fraction(alpha, other) > MAX_HIDDEN_FRACTION for other, _ in placed) or any(
            _overlap(box, o) for o, _ in placed
        ):
            return
        canvas.paste(patch, (left, top), patch)
        placed.append((box, landmarks + np.array([left, top])))


def _posed(cut_out: CutOut, scale: float, random: Generator) -> tuple[Image.Image, Box, np.ndarray]:
    """Scale, rotate and recolor the cut-out, and mirror it with probability 0.5. Return the new image, box and landmarks.

    The box follows the center and scale of the face, but is not rotated.
    """
    image, box, landmarks = cut_out.image, cut_out.box, cut_out.landmarks
    side = image.width
    is_mirrored = random.random() < 0.5
    if is_mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        landmarks = landmarks[[1, 0, 2, 4, 3]]  # left and right swap
    if random.random() < 0.25:  # keep the photo's background around the face
        image = image.convert("RGB").convert("RGBA")  # a copy, because other scenes need the mask of the cut-out
    new_side = max(round(side * scale), 4)
    image = image.resize((new_side, new_side), Image.Resampling.BILINEAR)
    image = Image.merge("RGBA", [*_recolored(image, random).split(), image.getchannel("A")])
    degrees = random.normal(0, 12) if random.random() < 0.85 else random.uniform(-50, 50)
    image = image.rotate(degrees, Image.Resampling.BILINEAR)

    affine = _pose(side, new_side, degrees, is_mirrored=is_mirrored)
    landmarks = transform_points(affine, torch.from_numpy(landmarks)).numpy()
    # box coordinates refer to pixel edges, affine transforms to pixel centers
    x, y = (transform_points(affine, torch.tensor([box.center]) - 0.5)[0] + 0.5).tolist()
    half_width, half_height = box.width * new_side / side / 2, box.height * new_side / side / 2
    return image, Box(x - half_width, y - half_height, x + half_width, y + half_height), landmarks


def _pose(side: int, new_side: int, degrees: float, *, is_mirrored: bool) -> Tensor:
    """Return the affine transform (2, 3) that resizes an image and rotates it counterclockwise about its center.

    The image has ``side`` pixels before and ``new_side`` pixels after resizing. If ``is_mirrored`` is true, it is mirrored first.
    """
    flip, shift = (-1.0, side - 1.0) if is_mirrored else (1.0, 0.0)
    mirror = torch.tensor([[flip, 0.0, shift], [0.0, 1.0, 0.0]], dtype=torch.float64)
    resized = compose_affines(mirror, resize_affine(Size(side, side), Size(new_side, new_side)))
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    center = (new_side - 1) / 2
    rotation = torch.tensor(
        [[cos, sin, center * (1 - cos - sin)], [-sin, cos, center * (1 - cos + sin)]], dtype=torch.float64
    )
    return compose_affines(resized, rotation)


def _recolored(image: Image.Image, random: Generator) -> Image.Image:
    gain, gamma = random.uniform(0.6, 1.3), random.uniform(0.7, 1.4)
    table = np.clip(255 * gain * (np.arange(256) / 255) ** gamma, 0, 255).astype(np.uint8)
    return image.convert("RGB").point(list(table) * 3)


def _covered_fraction(alpha: np.ndarray, box: Box) -> float:
    """Return the mean of ``alpha`` (S, S) inside the box, or 0 if the box is outside the scene."""
    side = len(alpha)
    rows = slice(max(int(box.top), 0), min(math.ceil(box.bottom), side))
    columns = slice(max(int(box.left), 0), min(math.ceil(box.right), side))
    return float(alpha[rows, columns].mean()) if alpha[rows, columns].size else 0.0


def _overlap(box: Box, other: Box) -> bool:
    """Return whether the intersection of the boxes is larger than 10 % of the smaller box."""
    width = min(box.right, other.right) - max(box.left, other.left)
    height = min(box.bottom, other.bottom) - max(box.top, other.top)
    return width > 0 and height > 0 and width * height > 0.1 * min(box.area, other.area)


def _photographed(canvas: Image.Image, typical_px: float, random: Generator) -> Tensor:
    """Degrade the scene as an old or cheap camera would, and return it as (3, S, S), RGB in [0, 1].

    Faces of ``typical_px`` pixels stay legible.
    """
    if random.random() < 0.35:
        max_reduction = max(typical_px / LEGIBLE_FACE_PX, 1)
        side = round(canvas.width / math.exp(random.uniform(0, math.log(max_reduction))))
        canvas = canvas.resize((side, side), Image.Resampling.BOX).resize(canvas.size, Image.Resampling.BICUBIC)
    image = torch.from_numpy(np.array(canvas)).permute(2, 0, 1).float() / 255
    if random.random() < 0.35:
        image = operations.gray(image)
        image = ((image - 0.5) * random.uniform(0.6, 1.2) + random.uniform(0.35, 0.65)).clamp(0, 1)
    if typical_px >= MIN_OLD_PHOTO_FACE_PX and random.random() < OLD_PHOTO_FRACTION:
        sampler = Sampler(seeded_generator(int(random.integers(2**31))))
        image = sample_old_photo(OldPhotoConfig(), typical_px / ALIGNED_FACE_PX, sampler).degraded(
            operations.gray(image)
        )
    if random.random() < 0.4:
        image = operations.gaussian_blur(image, random.uniform(0.3, 1.3))
    if random.random() < 0.4:
        image = operations.add_noise(
            image, random.uniform(0.0, 0.08), bool(random.random() < 0.5), int(random.integers(2**31))
        )
    if random.random() < 0.1:  # a dark photo with increased contrast, as from ``stretch_contrast``
        dark = (image * random.uniform(0.04, 0.3) * 255).round()
        image = dark / dark.max().clamp(min=1)
    if random.random() < 0.6:
        image = operations.jpeg(image, int(random.integers(35, 95)))
    return image.clamp(0, 1)
