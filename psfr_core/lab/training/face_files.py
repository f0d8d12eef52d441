"""Find and read faces and label maps in plain folders and in the layouts of FFHQ and CelebAMask-HQ."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import ImageFileError, PsfrError, TrainingError
from ...files import visible_files
from ...images.box import Size
from ...images.channels import to_rgb
from ...images.decoding import opened
from ...images.formats import FORMAT_LIST, is_readable, unreadable_reason
from ...images.io import read_image
from ...images.resize import resize
from ...parsing.labels import FaceRegion
from ...parsing.parse_map import ParseMap

logger = logging.getLogger(__name__)

# Names of the masks in CelebAMask-HQ, in the order of FaceRegion without the background. Later masks cover earlier ones.
_PARTS = (
    "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear", "mouth", "u_lip", "l_lip",
    "hair", "hat", "ear_r", "neck_l", "neck", "cloth",
)  # fmt: skip
MASK_NAMES = dict(zip(sorted(FaceRegion)[1:], _PARTS, strict=True))


@dataclass(frozen=True)
class FaceFile:
    """Files of an aligned face: the image, and the labels as one PNG file or as one mask file per region."""

    image: Path
    labels: Path | Mapping[FaceRegion, Path]

    @property
    def width(self) -> int:
        """Width of the image in pixels. Raises TrainingError if the image is not square or cannot be read."""
        return _checked_width(self.image)

    def check(self, size: int) -> None:
        """Check the files by their headers.

        Raises TrainingError if a file is not a readable square image, if the face is smaller than ``size`` pixels, or if its
        masks have different sizes.
        """
        width = _checked_width(self.image)
        if width < size:
            raise TrainingError(
                f"{self.image} is {width} pixels wide, but the network is trained at {size} pixels, and enlarged faces are "
                "blurred. Set data.skip_small to leave out small images, or train a smaller network."
            )
        widths = {_checked_width(path) for path in _files_of(self.labels)}
        if len(widths) > 1:
            raise TrainingError(
                f"The masks of {self.image} have different sizes: {sorted(widths)} pixels. They must have the same size."
            )

    def read(self, size: int) -> tuple[Tensor, Tensor]:
        """Return the image (3, S, S) and the labels (S, S) at S = ``size`` pixels, both uint8.

        The files must have passed ``check``. Raises TrainingError for damaged files and for values that are not labels.
        """
        wanted = Size(size, size)
        try:
            image = resize(to_rgb(read_image(self.image).pixels), wanted)
        except PsfrError as error:
            raise unreadable(self.image, error) from error
        labels = _read_labels(self.labels) if isinstance(self.labels, Path) else _merge_masks(self.labels)
        return (image.clamp(0, 1) * 255).round().to(torch.uint8), labels.resized(wanted).labels[0]


def find_face_files(image_folders: Sequence[Path], label_folders: Sequence[Path]) -> list[FaceFile]:
    """Find all images in the folders and their subfolders, with their labels. Each image folder has one label folder.

    The labels of an image are a PNG file at the same relative path, a PNG file of the same name anywhere in the label folder,
    or masks named as in CelebAMask-HQ. The faces of a folder that is given several times are returned as often. Raises
    TrainingError if the numbers of folders differ, a folder has no images, an image has no labels or ambiguous ones, or two
    images have the same labels.
    """
    if len(image_folders) != len(label_folders):
        raise TrainingError(
            f"Each face folder needs a label folder: got {len(image_folders)} face and {len(label_folders)} label folders."
        )
    files = [
        FaceFile(path, _labels_of(path.relative_to(image_folder), label_folder, known))
        for image_folder, label_folder in zip(image_folders, label_folders, strict=True)
        for known in [_label_files_by_name(label_folder)]
        for path in _faces_in(image_folder, label_folder)
    ]
    users: dict[Path, Path] = {}
    for file in files:
        for path in _files_of(file.labels):
            first = users.setdefault(path, file.image)
            if first != file.image:
                raise TrainingError(
                    f"{path} would be the labels of both {first} and {file.image}. Give each image its own labels."
                )
    return files


def find_checked_face_files(
    image_folders: Sequence[Path], label_folders: Sequence[Path], size: int, *, skip_small: bool = False
) -> list[FaceFile]:
    """Find the faces as ``find_face_files`` does, and check them for a network with inputs of ``size`` pixels.

    With ``skip_small``, smaller faces are left out with a warning. Raises TrainingError for invalid files and, without
    ``skip_small``, for smaller faces.
    """
    files = find_face_files(image_folders, label_folders)
    if skip_small:
        found, files = files, [file for file in files if file.width >= size]
        if found and not files:
            folders = ", ".join(str(folder) for folder in image_folders)
            raise TrainingError(f"All faces in {folders} are smaller than {size} pixels. Train a smaller network.")
        if len(files) < len(found):
            logger.warning("faces smaller than %d px are left out: %d of %d", size, len(found) - len(files), len(found))
    for file in files:
        file.check(size)
    return files


def list_images(folder: Path) -> list[Path]:
    """Return the image files in ``folder`` and its subfolders, sorted by path. Hidden files are ignored.

    Images in formats that cannot be read are left out with a warning. Raises TrainingError if no image is found.
    """
    files = visible_files(folder)
    paths = [path for path in files if is_readable(path)]
    reasons = [reason for path in files if (reason := unreadable_reason(path))]
    if reasons:
        logger.warning("unreadable images in %s are left out: %d, such as %s", folder, len(reasons), reasons[0])
    if not paths:
        raise TrainingError(f"There is no image ({FORMAT_LIST}) in the folder {folder}.")
    return paths


def _faces_in(folder: Path, label_folder: Path) -> list[Path]:
    """Return the images in ``folder``, except those in the label folder, which may be a subfolder."""
    labels = label_folder.resolve()
    paths = [path for path in list_images(folder) if not path.resolve().is_relative_to(labels)]
    if not paths:
        raise TrainingError(
            f"All images in {folder} lie in the label folder {label_folder}. Use separate folders for faces and labels."
        )
    return paths


def _label_files_by_name(label_folder: Path) -> dict[str, list[Path]]:
    """Return all PNG files in a label folder and its subfolders by file name."""
    known: dict[str, list[Path]] = {}
    for path in sorted(label_folder.rglob("*.png")):
        known.setdefault(path.name, []).append(path)
    return known


def _labels_of(image: Path, folder: Path, known: Mapping[str, Sequence[Path]]) -> Path | Mapping[FaceRegion, Path]:
    """Return the labels of ``image``, a path relative to its face folder. ``known`` are the PNG files in the label ``folder``.

    Raises TrainingError if the image has no labels or ambiguous ones.
    """
    same_place = folder / image.with_suffix(".png")
    if same_place.exists():
        return same_place
    name = f"{image.stem}.png"
    if name in known:
        return _single_file(known[name], image)
    if image.stem.isdecimal():
        masks = {region: f"{int(image.stem):05d}_{part}.png" for region, part in MASK_NAMES.items()}
        masks = {region: _single_file(known[name], image) for region, name in masks.items() if name in known}
        if masks:
            return masks
    raise TrainingError(f"{image} has no labels: neither {same_place} nor masks named as in CelebAMask-HQ in {folder}.")


def _single_file(paths: Sequence[Path], image: Path) -> Path:
    """Return the only path in ``paths``. Raise TrainingError if there are several."""
    if len(paths) > 1:
        raise TrainingError(
            f"The labels of {image} may be {paths[0]} or {paths[1]}. Move them to the relative path of the image, or rename them."
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
    """Merge masks of equal size into a parse map."""
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
    """Return the side of a square image in pixels. Raise TrainingError if the image is not square or cannot be read."""
    try:
        with opened(path) as image:
            width, height = image.size
    except ImageFileError as error:
        raise unreadable(path, error) from error
    if width != height:
        raise TrainingError(f"{path} is {width} x {height} pixels, but aligned faces and their labels are square.")
    return width


def unreadable(path: Path, error: Exception) -> TrainingError:
    """Return the TrainingError for a training file that cannot be read because of ``error``."""
    return TrainingError(f"{path} is needed for training and cannot be read: {error}")
