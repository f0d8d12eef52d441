"""Faces and label maps on disk: plain folders, and FFHQ and CelebAMask-HQ as they are downloaded."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import ImageFileError, PsfrError, TrainingError
from ...images.box import Size
from ...images.channels import to_rgb
from ...images.decoding import opened
from ...images.formats import FORMAT_LIST, is_readable, unreadable_reason
from ...images.io import read_image
from ...images.resize import resize
from ...parsing.labels import FaceRegion
from ...parsing.parse_map import ParseMap

logger = logging.getLogger(__name__)

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

    def check(self, size: int) -> None:
        """Raise TrainingError for a file that is no square image, by its first bytes alone, or a face below ``size`` pixels."""
        width = _checked_width(self.image)
        if width < size:
            raise TrainingError(
                f"{self.image} has {width} pixels a side, but the network is trained at {size}: enlarged, it would teach blur. "
                "Leave it out, or train a smaller network."
            )
        widths = {_checked_width(path) for path in _files_of(self.labels)}
        if len(widths) > 1:
            raise TrainingError(f"The masks of one face differ in size: those of {self.image}.")

    def read(self, size: int) -> tuple[Tensor, Tensor]:
        """The image (3, ``size``, ``size``) and its labels (``size``, ``size``), uint8, of files that pass ``check``.

        Raises TrainingError for those that are damaged or hold other values than labels.
        """
        wanted = Size(size, size)
        try:
            image = resize(to_rgb(read_image(self.image).pixels), wanted)
        except PsfrError as error:
            raise unreadable(self.image, error) from error
        labels = _read_labels(self.labels) if isinstance(self.labels, Path) else _merge_masks(self.labels)
        return (image.clamp(0, 1) * 255).round().to(torch.uint8), labels.resized(wanted).labels[0]


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
    files = [
        FaceFile(path, _labels_of(path.relative_to(image_folder), label_folder, known))
        for image_folder, label_folder in zip(image_folders, label_folders, strict=True)
        for known in [_by_name(label_folder)]
        for path in _faces_in(image_folder, label_folder)
    ]
    users = Counter(path for file in files for path in _files_of(file.labels))
    shared = next((path for path, count in users.items() if count > 1), None)
    if shared is not None:
        first, second, *_ = (file.image for file in files if shared in _files_of(file.labels))
        raise TrainingError(f"{shared} would be the labels of both {first} and {second}: give each labels of its own.")
    return files


def list_images(folder: Path) -> list[Path]:
    """Return the image files in ``folder`` and below it, in the order of their paths; TrainingError when there is none.

    That images of unreadable formats are left out is logged.
    """
    there = sorted(folder.rglob("*"))
    paths = [path for path in there if is_readable(path)]
    left_out = [reason for path in there if (reason := unreadable_reason(path))]
    if left_out:
        logger.warning("%d images in %s are left out: %s", len(left_out), folder, left_out[0])
    if not paths:
        raise TrainingError(f"There is no image ({FORMAT_LIST}) in the folder {folder}.")
    return paths


def _faces_in(folder: Path, label_folder: Path) -> list[Path]:
    """Its images, but for labels that are kept in a folder inside it."""
    labels = label_folder.resolve()
    paths = [path for path in list_images(folder) if not path.resolve().is_relative_to(labels)]
    if not paths:
        raise TrainingError(
            f"All images in {folder} lie in the label folder {label_folder}: keep faces and labels apart."
        )
    return paths


def _by_name(label_folder: Path) -> dict[str, list[Path]]:
    """All PNG files of a label folder."""
    known: dict[str, list[Path]] = {}
    for path in sorted(label_folder.rglob("*.png")):
        known.setdefault(path.name, []).append(path)
    return known


def _labels_of(image: Path, folder: Path, known: Mapping[str, Sequence[Path]]) -> Path | Mapping[FaceRegion, Path]:
    same_place = folder / image.with_suffix(".png")
    if same_place.exists():
        return same_place
    name = f"{image.stem}.png"
    if name in known:
        return _only(known[name], image)
    if image.stem.isdecimal():
        masks = {region: f"{int(image.stem):05d}_{part}.png" for region, part in MASK_NAMES.items()}
        masks = {region: _only(known[name], image) for region, name in masks.items() if name in known}
        if masks:
            return masks
    raise TrainingError(f"{image} has no labels: neither {same_place} nor masks in CelebAMask-HQ's manner in {folder}.")


def _only(paths: Sequence[Path], image: Path) -> Path:
    if len(paths) > 1:
        raise TrainingError(
            f"The labels of {image} may be {paths[0]} or {paths[1]}: put them where the image is among the faces, or rename them."
        )
    return paths[0]


def _files_of(labels: Path | Mapping[FaceRegion, Path]) -> list[Path]:
    return [labels] if isinstance(labels, Path) else list(labels.values())


def _read_labels(path: Path) -> ParseMap:
    try:
        return ParseMap.from_png(path)
    except PsfrError as error:
        raise unreadable(path, error) from error


def _merge_masks(masks: Mapping[FaceRegion, Path]) -> ParseMap:
    """The labels of masks of one size."""
    read = {region: _read_mask(path) for region, path in masks.items()}
    labels = torch.zeros(next(iter(read.values())).shape, dtype=torch.uint8)
    for region in sorted(read):
        labels[read[region]] = int(region)
    return ParseMap(labels[None])


def _read_mask(path: Path) -> Tensor:
    try:
        with opened(path) as image:
            return torch.from_numpy(np.array(image.convert("L"))) >= 128
    except ImageFileError as error:
        raise unreadable(path, error) from error


def _checked_width(path: Path) -> int:
    """The side of a square image."""
    try:
        with opened(path) as image:
            width, height = image.size
    except ImageFileError as error:
        raise unreadable(path, error) from error
    if width != height:
        raise TrainingError(f"{path} is {width} x {height} pixels, but aligned faces and their labels are square.")
    return width


def unreadable(path: Path, error: Exception) -> TrainingError:
    """What says that a file of a training set cannot be read."""
    return TrainingError(f"{path} is needed for training and cannot be read: {error}")
