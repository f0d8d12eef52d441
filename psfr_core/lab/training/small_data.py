"""Write a small copy of training data, which can be carried to another machine, such as a rented GPU."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from safetensors.torch import save_file

from ...errors import OptionError
from ...files import atomic_path
from ...models.convert import to_half
from ...parsing.parse_map import ParseMap
from ...progress import Progress
from ..metrics.image_features import read_backbone
from .face_files import FaceFile, find_checked_face_files, list_images
from .recipe import DetectorRecipe, GeneratorRecipe, TrainedRecipe
from .scenes import read_background


def write_small_data(
    recipes: Sequence[TrainedRecipe], data: Path, out: Path, *, quality: int = 78, progress: Progress | None = None
) -> None:
    """Copy the files in the folder ``data`` that ``recipes`` read to the same relative paths in ``out``, in a smaller form.

    Faces become WebP files of ``quality``, 0 to 100, at the size of the largest network that they train. Of the validation faces
    of parsers and generators, only the measured ones are copied. Labels become PNG files of the size of their faces, and the
    backgrounds of detectors become WebP files. The weights of feature networks become float16. ``progress`` counts the images.
    Raises OptionError if images are not in ``data`` or ``quality`` is out of range, TrainingError for invalid data, and the errors
    of reading weights.
    """
    if not 0 <= quality <= 100:
        raise OptionError(f"quality must be from 0 to 100, got {quality}.")
    copier = _Copier(data, out, quality)
    faces: dict[Path, _FaceCopy] = {}
    for face in (face for recipe in recipes for face in _faces_of(recipe)):
        known = faces.get(face.file.image, face)
        faces[face.file.image] = max(face, known, key=lambda copy: copy.size)
    tasks: list[Callable[[], None]] = [lambda face=face: copier.copy_face(face) for face in faces.values()]
    detectors = (recipe for recipe in recipes if isinstance(recipe, DetectorRecipe))
    backgrounds = {path for recipe in detectors for folder in recipe.backgrounds for path in list_images(folder)}
    tasks += [lambda path=path: copier.write_webp(path, read_background(path)) for path in sorted(backgrounds)]
    for done, task in enumerate(tasks, start=1):
        task()
        if progress is not None:
            progress(done, len(tasks))
    for recipe in recipes:
        copier.copy_weights(recipe)


@dataclass(frozen=True)
class _FaceCopy:
    """Face to copy at ``size`` pixels, and the path of its labels as one PNG file."""

    file: FaceFile
    labels: Path
    size: int


def _faces_of(recipe: TrainedRecipe) -> Iterator[_FaceCopy]:
    """Yield the training faces and the validation faces that ``recipe`` reads. Raise TrainingError for invalid files."""
    data = recipe.data
    validation = [*_faces_in(data.val_faces, data.val_labels, recipe)]
    if not isinstance(recipe, DetectorRecipe):
        validation = validation[: data.validation_samples(len(validation))]
    yield from _faces_in(data.faces, data.labels, recipe)
    yield from validation


def _faces_in(
    image_folders: Sequence[Path], label_folders: Sequence[Path], recipe: TrainedRecipe
) -> Iterator[_FaceCopy]:
    size = recipe.face_size
    for images, labels in zip(image_folders, label_folders, strict=True):
        for file in find_checked_face_files([images], [labels], size, skip_small=recipe.data.skip_small):
            yield _FaceCopy(file, labels / file.image.relative_to(images).with_suffix(".png"), size)


@dataclass(frozen=True)
class _Copier:
    """Copier of files from the folder ``data`` to the same relative paths in ``out``, with WebP files of ``quality``."""

    data: Path
    out: Path
    quality: int

    def copy_face(self, face: _FaceCopy) -> None:
        image, labels = face.file.read(face.size)
        self.write_webp(face.file.image, Image.fromarray(image.permute(1, 2, 0).numpy()))
        ParseMap(labels[None]).to_png(self._target(face.labels))

    def write_webp(self, source: Path, image: Image.Image) -> None:
        with atomic_path(self._target(source).with_suffix(".webp")) as unfinished:
            image.save(unfinished, "WEBP", quality=self.quality, method=6)

    def copy_weights(self, recipe: TrainedRecipe) -> None:
        """Copy the weight files in ``data`` that ``recipe`` names."""
        copied = [recipe.start_from]
        if isinstance(recipe, DetectorRecipe):
            copied.append(recipe.teacher)
        if isinstance(recipe, GeneratorRecipe):
            networks = recipe.loss_networks
            copied += [networks.parser, str(networks.heads) if networks.heads else None]
            if networks.features and self._is_in_data(networks.features):
                path = Path(networks.features)
                tensors = {name: tensor for name, tensor in read_backbone(path).items() if name.startswith("features.")}
                save_file(to_half(tensors), self._target(path).with_suffix(".safetensors"))
        for source in copied:
            if source and self._is_in_data(source):
                shutil.copyfile(source, self._target(Path(source)))

    def _is_in_data(self, source: str) -> bool:
        return Path(source).is_relative_to(self.data)

    def _target(self, source: Path) -> Path:
        if not source.is_relative_to(self.data):
            raise OptionError(f"{source} is not in the folder {self.data}. Move it there, and use $data in the recipe.")
        target = self.out / source.relative_to(self.data)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target
