"""Find models in ComfyUI's model folders."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import folder_paths

from ..psfr_core.errors import DownloadError, ModelNotFoundError
from ..psfr_core.models.architectures import describe, is_other_restorer, recognize
from ..psfr_core.models.library import ModelLibrary
from ..psfr_core.models.manifest import MODEL_FILES, ModelFile, ModelKind, known_file, known_model, model_names
from ..psfr_core.models.tensor_names import read_tensor_names
from .downloads import download

logger = logging.getLogger(__name__)

TensorNames = tuple[str, ...]

OWN_FOLDER = "psfrgan"
SUFFIXES = (".safetensors", ".pth", ".pt")
# Other packs keep the same files in ``facerestore_models`` and ``facedetection``.
FOLDERS = {
    ModelKind.GENERATOR: (OWN_FOLDER, "facerestore_models"),
    ModelKind.PARSER: (OWN_FOLDER, "facedetection", "facerestore_models"),
    ModelKind.DETECTOR: (OWN_FOLDER, "facedetection"),
}


def register_model_folders() -> None:
    """Register the folders below ComfyUI's ``models`` after the configured paths. Create a ``psfrgan`` folder if none exists."""
    for name in dict.fromkeys(name for names in FOLDERS.values() for name in names):
        folder_paths.add_model_folder_path(name, str(Path(folder_paths.models_dir) / name))
    if not any(Path(path).is_dir() for path in folder_paths.get_folder_paths(OWN_FOLDER)):
        own = Path(folder_paths.models_dir) / OWN_FOLDER
        try:
            own.mkdir(parents=True)
        except OSError as error:
            logger.warning("%s cannot be created (%s). Create it to add models.", own, error.strerror or error)


def model_choices(kind: ModelKind) -> list[str]:
    """Return the options of a combo: the names of the known models of type ``kind``, then the files of such models.

    A converted copy of a known model is also listed under the name of the published file, and loaded under both names. Saved
    workflows may contain the published name, which the frontend would otherwise report as missing.
    """

    def fits(names: TensorNames) -> bool:
        known = recognize(names)
        return known is not None and known.kind is kind

    files = weight_files(FOLDERS[kind], fits)
    converted = [entry.file_name for entry in MODEL_FILES if entry.converted_name in files and not entry.is_bundled]
    return list(dict.fromkeys([*model_names(kind), *files, *converted]))


def restorer_choices() -> list[str]:
    """Return the options of a combo: the files of other restorers, or the placeholder ``GFPGANv1.4.pth`` if there are none."""
    return weight_files(FOLDERS[ModelKind.GENERATOR], is_other_restorer) or ["GFPGANv1.4.pth"]


def find_restorer(name: str) -> Path | None:
    """Return the path of the restorer file ``name``, which ``restorer_choices`` lists, or None if it does not exist."""
    return find_weight_file(name, FOLDERS[ModelKind.GENERATOR])


def locate_restorer(name: str) -> Path:
    """Return the path of the restorer file ``name`` as ``find_restorer`` does. Raise ModelNotFoundError if it does not exist."""
    path = find_restorer(name)
    if path is None:
        raise ModelNotFoundError(
            f"There is no face restorer file {name!r} in {', '.join(_paths(FOLDERS[ModelKind.GENERATOR]))}. "
            "Put a GFPGAN, RestoreFormer or CodeFormer file there, or select another file in the loader."
        )
    return path


def weight_files(folders: tuple[str, ...], fits: Callable[[TensorNames], bool]) -> list[str]:
    """Return ComfyUI's names for the weight files in ``folders`` whose tensor names pass ``fits``."""
    found = dict.fromkeys(file for folder in folders for file in _files(folder) if file.lower().endswith(SUFFIXES))
    return [file for file in found if fits(_names_in(find_weight_file(file, folders)))]


def find_model(name: str, kind: ModelKind) -> Path | None:
    """Return the path of the known model or the file ``name``, which ``model_choices`` lists, or None if it does not exist.

    The model folders are searched. For a known model, this pack and the download folder of the command line are searched too.
    """
    source = _source(name, kind)
    return ModelLibrary(_paths(FOLDERS[kind])).find(source) if isinstance(source, ModelFile) else source


def find_weight_file(name: str, folders: tuple[str, ...]) -> Path | None:
    """Return the path of the file ``name`` in the first of ``folders`` that contains it, or None if none of them does.

    A name cannot lead out of a folder, because ComfyUI removes leading ``..`` parts.
    """
    for folder in folders:
        path = folder_paths.get_full_path(folder, name)
        if path:
            return Path(path)
    return None


def locate_model(name: str, kind: ModelKind, *, may_download: bool) -> Path:
    """Return the path that ``find_model`` returns. Download a missing known model if ``may_download`` is set.

    Raise ModelNotFoundError, which says how to get the file, if it does not exist, DownloadError if the download fails,
    CheckpointError if a file with a known name cannot be read, and OptionError for a known model of another kind.
    """
    try:
        return _locate(name, kind, may_download=may_download)
    except ModelNotFoundError as error:
        raise ModelNotFoundError(_with_switch(error)) from None


def locate_models(names: Mapping[ModelKind, str], *, may_download: bool) -> dict[ModelKind, Path]:
    """Return the paths of several models as ``locate_model`` does.

    Raise one ModelNotFoundError for all files that are missing or that could not be downloaded. After a failed download, no other
    download is tried, because without a network each one would wait for a timeout.
    """
    found: dict[ModelKind, Path] = {}
    missing: list[str] = []
    has_failed = False
    for kind, name in names.items():
        try:
            found[kind] = _locate(name, kind, may_download=may_download and not has_failed)
        except DownloadError as error:
            has_failed = True
            missing.append(str(error))
        except ModelNotFoundError as error:
            missing.append(str(error) if may_download else _with_switch(error))
    if missing:
        raise ModelNotFoundError("\n\n".join(missing))
    return found


def fingerprint(*paths: Path | None) -> str:
    """Return a text that changes when one of the files is replaced or modified. ComfyUI then runs the loader again."""
    stats = [(path, path.stat()) for path in paths if path is not None]
    return ", ".join(f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats)


def _source(name: str, kind: ModelKind) -> ModelFile | Path | None:
    """Return the known model or the path of the file called ``name``, or None if there is neither."""
    return known_model(name) or find_weight_file(name, FOLDERS[kind]) or known_file(name)


def _locate(name: str, kind: ModelKind, *, may_download: bool) -> Path:
    folders, source = _paths(FOLDERS[kind]), _source(name, kind)
    if source is None:
        raise ModelNotFoundError(
            f"There is no {kind.value} file {name!r} in {', '.join(folders)}. Put it there, or select another file in the loader."
        )
    library = ModelLibrary(folders, _download if may_download else None)
    return library.locate(source, kind)


def _with_switch(error: ModelNotFoundError) -> str:
    return f"{error} Or switch on 'download' in the loader." if error.downloadable else str(error)


def _names_in(path: Path | None) -> TensorNames:
    """Return the names of the tensors in a file, which is read again only after it changed. A missing file has none."""
    try:
        stat = path.stat() if path else None
    except OSError:  # removed, or a broken link
        stat = None
    return _names_of(path, stat.st_size, stat.st_mtime_ns) if path and stat else ()


@lru_cache(maxsize=256)
def _names_of(path: Path, size: int, mtime_ns: int) -> TensorNames:
    names = read_tensor_names(path)
    if recognize(names) is None and not is_other_restorer(names):
        content = describe(names) if names else "not a readable weight file"
        logger.info("%s is not offered in the model loaders: it is %s.", path, content)
    return names


def _files(folder: str) -> list[str]:
    try:
        return folder_paths.get_filename_list(folder)
    except FileNotFoundError:  # a listed folder was deleted
        return []


def _paths(folders: tuple[str, ...]) -> list[str]:
    return [path for folder in folders for path in folder_paths.get_folder_paths(folder)]


def _download(entry: ModelFile) -> Path:
    """Download ``entry`` into the first of the folders in which packs look for the file, and return its path."""
    return download(entry, Path(folder_paths.get_folder_paths(entry.folders[0])[0]))
