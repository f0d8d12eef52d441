"""Write a small copy of training data, which can be carried to another machine, such as a rented GPU."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from PIL import Image
from safetensors.torch import save_file

from ...changed_settings import flat_settings
from ...errors import OptionError
from ...files import atomic_path
from ...models.convert import to_half
from ...models.state_dict import read_tensors
from ...parsing.parse_map import ParseMap
from ...progress import Progress
from .face_files import FaceFile, find_checked_face_files, list_images
from .recipe import BlendRecipe, DetectorRecipe, Recipe
from .recipe_file import to_yaml
from .run_folder import SOURCES
from .scenes import read_background


def write_small_data(
    recipes: Sequence[Recipe], data: Path, out: Path, *, quality: int = 75, progress: Progress | None = None
) -> None:
    """Copy the files in the folder ``data`` that ``recipes`` read to the same relative paths in ``out``, in a smaller form.

    Faces become WebP files of ``quality``, 0 to 100, at the size of the largest network that they train. Labels become PNG files of
    the size of their faces, and the backgrounds of detectors become WebP files. ImageNet features in .safetensors files become
    float16. Faces that the recipes leave out are not copied. ``progress`` counts the images.
    Raises OptionError if ``quality`` is out of range, if ``out`` is not empty or is in ``data``, or if images are not in ``data``.
    Raises TrainingError for invalid data, and the errors of reading weights.
    """
    if not 0 <= quality <= 100:
        raise OptionError(f"quality must be from 0 to 100, got {quality}.")
    data, out = _absolute(data), _absolute(out)
    if out.resolve().is_relative_to(data.resolve()) or (out.exists() and any(out.iterdir())):
        raise OptionError(f"{out} must be a new or empty folder outside of {data}.")
    copier = _Copier(data, out, quality)
    faces, backgrounds = _faces_of(recipes), _backgrounds_of(recipes)
    tasks: list[Callable[[], None]] = [
        *(lambda file=file, size=size: copier.copy_face(file, size) for file, size in faces),
        *(lambda path=path: copier.copy_background(path) for path in backgrounds),
    ]
    for done, task in enumerate(tasks, start=1):
        task()
        if progress is not None:
            progress(done, len(tasks))
    for path in {path for recipe in recipes for path in _files_named_in(recipe)}:
        copier.copy_file(path)


def _faces_of(recipes: Sequence[Recipe]) -> list[tuple[FaceFile, int]]:
    """Return all faces with the sizes at which they are needed. Raise TrainingError for invalid files."""
    faces: dict[Path, tuple[FaceFile, int]] = {}
    for recipe in recipes:
        if isinstance(recipe, BlendRecipe):
            continue
        data, size = recipe.data, recipe.face_size
        for folders in ((data.faces, data.labels), (data.val_faces, data.val_labels)):
            for file in find_checked_face_files(*folders, size, skip_small=data.skip_small):
                _, known_size = faces.get(_labels_file(file), (file, 0))
                faces[_labels_file(file)] = file, max(known_size, size)
    return [*faces.values()]


def _labels_file(file: FaceFile) -> Path:
    """Return the path of the labels of ``file``. Masks become a single file in the folder of the first mask."""
    if isinstance(file.labels, Path):
        return file.labels
    return next(iter(file.labels.values())).with_name(f"{file.image.stem}.png")


def _backgrounds_of(recipes: Sequence[Recipe]) -> list[Path]:
    folders = {folder for recipe in recipes if isinstance(recipe, DetectorRecipe) for folder in recipe.backgrounds}
    return [path for folder in sorted(folders) for path in list_images(folder)]


def _files_named_in(recipe: Recipe) -> list[Path]:
    """Return the weight files and degradation files that ``recipe`` names and that exist."""
    settings = flat_settings(yaml.safe_load(to_yaml(recipe)))
    values = [value for name, value in settings if name.rpartition(".")[2] in SOURCES]
    texts = [text for value in values for text in (cast("list[Any]", value) if isinstance(value, list) else [value])]
    return [Path(text) for text in texts if isinstance(text, str) and Path(text).is_file()]


def _absolute(path: Path) -> Path:
    """Return the absolute path without "..". Links are not resolved, because data folders may contain links."""
    return Path(os.path.abspath(path))  # noqa: PTH100


@dataclass(frozen=True)
class _Copier:
    """Copier of files from the folder ``data`` to the same relative paths in ``out``, with WebP files of ``quality``."""

    data: Path
    out: Path
    quality: int

    def copy_face(self, file: FaceFile, size: int) -> None:
        image, labels = file.read(size)
        self._write_webp(self._target(file.image).with_suffix(".webp"), Image.fromarray(image.permute(1, 2, 0).numpy()))
        ParseMap(labels[None]).to_png(self._target(_labels_file(file)))

    def copy_background(self, path: Path) -> None:
        target = self._target(path)
        self._write_webp(target.with_name(f"{target.name}.webp"), read_background(path))

    def copy_file(self, path: Path) -> None:
        """Copy a file that is in ``data``. ImageNet features are converted to float16."""
        if not _absolute(path).is_relative_to(self.data):
            return
        tensors = read_tensors(path) if path.suffix == ".safetensors" else {}
        if tensors and all(name.startswith(("features.", "classifier.")) for name in tensors):
            features = {name: tensor for name, tensor in tensors.items() if name.startswith("features.")}
            save_file(to_half(features), self._target(path))
        else:
            shutil.copyfile(path, self._target(path))
        weights = path.with_suffix(".bin")  # a TensorFlow.js model has two files
        if path.suffix == ".json" and weights.is_file():
            shutil.copyfile(weights, self._target(weights))

    def _write_webp(self, path: Path, image: Image.Image) -> None:
        with atomic_path(path) as unfinished:
            image.save(unfinished, "WEBP", quality=self.quality, method=6)

    def _target(self, source: Path) -> Path:
        source = _absolute(source)
        if not source.is_relative_to(self.data):
            raise OptionError(f"{source} is not in the folder {self.data}. Move it there, and use $data in the recipe.")
        target = self.out / source.relative_to(self.data)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target
