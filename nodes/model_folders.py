"""The model folders of ComfyUI: which are searched for which model, and what is in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import folder_paths

from ..psfr_core.errors import DownloadError, ModelNotFoundError
from ..psfr_core.models.folders import find_model_file, warn_if_changed
from ..psfr_core.models.hub import manual_steps
from ..psfr_core.models.manifest import ModelFile, ModelKind, is_model_name, known_file, model_file, model_names
from .downloads import download

OWN_FOLDER = "psfrgan"
SUFFIXES = (".safetensors", ".pth", ".pt")
# Beside our own folder those in which users of other packs have the same files.
FOLDERS = {
    ModelKind.GENERATOR: (OWN_FOLDER, "facerestore_models"),
    ModelKind.PARSER: (OWN_FOLDER, "facedetection", "facerestore_models"),
    ModelKind.DETECTOR: (OWN_FOLDER, "facedetection"),
}


def register_model_folders() -> None:
    """Make sure that ComfyUI looks into ``models`` for each folder, after the paths it already has for it."""
    for name in dict.fromkeys(name for names in FOLDERS.values() for name in names):
        folder_paths.add_model_folder_path(name, str(Path(folder_paths.models_dir) / name))


def model_choices(kind: ModelKind) -> list[str]:
    """What a combo offers: the known models of this kind, then the weight files in its folders."""
    return [*model_names(kind), *weight_files(*FOLDERS[kind])]


def weight_files(*folders: str) -> list[str]:
    """The weight files in these folders, by the names ComfyUI gives them."""
    found = (file for folder in folders for file in _files(folder))
    return list(dict.fromkeys(file for file in found if file.lower().endswith(SUFFIXES)))


def find_model(name: str, kind: ModelKind) -> Path | None:
    """The file of a known model or of a name from ``model_choices``, None when there is none.

    It lies inside the folders; that of a known model also in this pack or where the command line keeps its downloads.
    """
    found = None if is_model_name(name) else find_weight_file(name, FOLDERS[kind])
    entry = _known(name)
    return find_model_file(entry, _paths(FOLDERS[kind])) if found is None and entry else found


def find_weight_file(name: str, folders: tuple[str, ...]) -> Path | None:
    """The file ``name`` in the first of these folders that has it; ComfyUI keeps names from reaching outside."""
    found = (folder_paths.get_full_path(folder, name) for folder in folders)
    return next((Path(path) for path in found if path), None)


def need_model(name: str, kind: ModelKind, *, may_download: bool) -> Path:
    """As ``find_model``, but fetched when it is missing and ``may_download`` is set, and ModelNotFoundError otherwise."""
    path, entry = find_model(name, kind), _known(name)
    if path is None and may_download and entry and not entry.is_bundled:
        path = download(entry, _download_folder(entry))
    if path is None:
        raise ModelNotFoundError(_not_here(name, kind))
    if entry:
        warn_if_changed(entry, path)
    return path


def need_models(names: Mapping[ModelKind, str], *, may_download: bool) -> dict[ModelKind, Path]:
    """As ``need_model`` for several, with one ModelNotFoundError that names all that are missing."""
    found: dict[ModelKind, Path] = {}
    missing: list[str] = []
    for kind, name in names.items():
        try:
            found[kind] = need_model(name, kind, may_download=may_download)
        except (ModelNotFoundError, DownloadError) as error:
            missing.append(str(error))
    if missing:
        raise ModelNotFoundError("\n".join(missing))
    return found


def fingerprint(*paths: Path | None) -> str:
    """A text that changes when one of the files is another, or no longer the same; the result of a loader depends on it."""
    stats = [(path, path.stat()) for path in paths if path is not None]
    return ", ".join(f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats)


def _known(name: str) -> ModelFile | None:
    """The known model of this name, or whose file has this name."""
    return model_file(name) if is_model_name(name) else known_file(name)


def _files(folder: str) -> list[str]:
    try:
        return folder_paths.get_filename_list(folder)
    except FileNotFoundError:  # a folder that ComfyUI had listed was deleted
        return []


def _paths(folders: tuple[str, ...]) -> list[str]:
    return [path for folder in folders for path in folder_paths.get_folder_paths(folder)]


def _download_folder(entry: ModelFile) -> Path:
    """Where other packs look for the same file, if there is such a folder."""
    return Path(folder_paths.get_folder_paths(entry.folders[0])[0])


def _not_here(name: str, kind: ModelKind) -> str:
    entry = _known(name)
    if entry is None:
        looked = ", ".join(_paths(FOLDERS[kind]))
        return f"There is no {kind.value} file {name!r} in {looked}. Put it there, or choose another in the loader."
    if entry.is_bundled:
        return f"{entry.name} ships with this pack, but its file {entry.file_name} is gone. Install the pack again."
    advice = "Switch on 'download' in the loader. Or by hand: " if entry.repo_id else ""
    return f"{entry.name} is not in the model folders. {advice}{manual_steps(entry, _download_folder(entry))}"
