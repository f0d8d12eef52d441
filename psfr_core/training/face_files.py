"""Faces and label maps on disk: plain folders, and FFHQ and CelebAMask-HQ as they are downloaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ..errors import PsfrError, TrainingError
from ..geometry.box import Size
from ..parsing.labels import FaceRegion
from ..parsing.parse_map import ParseMap

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
# How CelebAMask-HQ calls the masks of the regions, in the order of FaceRegion from skin on: later ones cover earlier ones.
_PARTS = (
    "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear", "mouth", "u_lip", "l_lip",
    "hair", "hat", "ear_r", "neck_l", "neck", "cloth",
)  # fmt: skip
MASK_NAMES = dict(zip(sorted(FaceRegion)[1:], _PARTS, strict=True))


@dataclass(frozen=True)
class FaceFile:
    """An aligned face: its image, and its labels in one PNG file or, by region, in a mask file each."""

    image: Path
    labels: Path | Mapping[FaceRegion, Path]

    def read(self, size: int) -> tuple[Tensor, Tensor]:
        """The image (3, ``size``, ``size``) and its labels (``size``, ``size``), uint8.

        Raises TrainingError for files that cannot be read, are not square or hold other values than labels.
        """
        labels = _read_labels(self.labels) if isinstance(self.labels, Path) else _merge_masks(self.labels)
        return _read_image(self.image, size), labels.resized(Size(size, size)).labels[0]


def find_face_files(image_folders: Sequence[Path], label_folders: Sequence[Path]) -> list[FaceFile]:
    """The images of the folders and what lies below them, each with its labels from the label folder at the same position.

    Labels lie at the same place with the suffix .png, anywhere in the label folder under the image's stem (as ``psfr parse``
    writes them), or in CelebAMask-HQ's masks. Raises TrainingError when a folder has no image or an image no labels: a set is
    never silently smaller.
    """
    if len(image_folders) != len(label_folders):
        raise TrainingError(
            f"Each face folder needs its label folder: got {len(image_folders)} face and {len(label_folders)} label folders."
        )
    return [
        FaceFile(path, _labels_of(path.relative_to(image_folder), label_folder, known))
        for image_folder, label_folder in zip(image_folders, label_folders, strict=True)
        for known in [{path.name: path for path in label_folder.rglob("*.png")}]
        for path in list_images(image_folder)
    ]


def list_images(folder: Path) -> list[Path]:
    """The image files in ``folder`` and below it, in the order of their paths; TrainingError when there is none."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise TrainingError(f"There is no image ({', '.join(IMAGE_SUFFIXES)}) in the folder {folder}.")
    return paths


def _labels_of(image: Path, folder: Path, known: Mapping[str, Path]) -> Path | Mapping[FaceRegion, Path]:
    same_place = folder / image.with_suffix(".png")
    if same_place.exists():
        return same_place
    name = f"{image.stem}.png"
    if name in known:
        return known[name]
    if image.stem.isdecimal():
        masks = {region: f"{int(image.stem):05d}_{part}.png" for region, part in MASK_NAMES.items()}
        masks = {region: known[name] for region, name in masks.items() if name in known}
        if masks:
            return masks
    raise TrainingError(f"{image} has no labels: neither {same_place} nor masks in CelebAMask-HQ's manner in {folder}.")


def _read_image(path: Path, size: int) -> Tensor:
    try:
        with Image.open(path) as image:
            _check_square(path, image.size)
            resized = image.convert("RGB").resize((size, size), Image.Resampling.BOX)
            return torch.from_numpy(np.array(resized)).permute(2, 0, 1)
    except (OSError, UnidentifiedImageError) as error:
        raise _unreadable(path, error) from error


def _read_labels(path: Path) -> ParseMap:
    try:
        parse_map = ParseMap.from_png(path)
    except PsfrError as error:
        raise _unreadable(path, error) from error
    _check_square(path, parse_map.labels.shape[-1:-3:-1])
    return parse_map


def _merge_masks(masks: Mapping[FaceRegion, Path]) -> ParseMap:
    read: dict[FaceRegion, Tensor] = {}
    for region, path in masks.items():
        try:
            with Image.open(path) as image:
                _check_square(path, image.size)
                read[region] = torch.from_numpy(np.array(image.convert("L"))) >= 128
        except (OSError, UnidentifiedImageError) as error:
            raise _unreadable(path, error) from error
    shapes = {mask.shape for mask in read.values()}
    if len(shapes) > 1:
        raise TrainingError(
            f"The masks of one face differ in size, {next(iter(masks.values()))} and the others of its number."
        )
    labels = torch.zeros(shapes.pop(), dtype=torch.uint8)
    for region in sorted(read):
        labels[read[region]] = int(region)
    return ParseMap(labels[None])


def _check_square(path: Path, size: Sequence[int]) -> None:
    width, height = size
    if width != height:
        raise TrainingError(f"{path} is {width} x {height} pixels, but aligned faces and their labels are square.")


def _unreadable(path: Path, error: Exception) -> TrainingError:
    return TrainingError(f"{path} is needed for training and cannot be read: {error}")
