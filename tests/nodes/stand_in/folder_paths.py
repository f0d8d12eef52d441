"""Imitate ComfyUI's model folders. A new folder name lists all files, and file names cannot lead outside the folder."""

from __future__ import annotations

from pathlib import Path

models_dir = ""
temp_dir = ""
folder_names_and_paths: dict[str, tuple[list[str], set[str]]] = {}


def add_model_folder_path(folder_name: str, full_folder_path: str, is_default: bool = False) -> None:
    paths, _ = folder_names_and_paths.setdefault(folder_name, ([], set()))
    if full_folder_path not in paths:
        paths.insert(0 if is_default else len(paths), full_folder_path)


def get_folder_paths(folder_name: str) -> list[str]:
    return folder_names_and_paths[folder_name][0][:]


def get_filename_list(folder_name: str) -> list[str]:
    paths, suffixes = folder_names_and_paths[folder_name]
    files = [(Path(path), file) for path in paths for file in sorted(Path(path).rglob("*")) if file.is_file()]
    return [str(file.relative_to(path)) for path, file in files if not suffixes or file.suffix in suffixes]


def get_full_path(folder_name: str, filename: str) -> str | None:
    inside = Path("/" + filename).resolve().relative_to("/")
    found = (Path(path) / inside for path in folder_names_and_paths[folder_name][0])
    return next((str(path) for path in found if path.is_file()), None)


def get_temp_directory() -> str:
    return temp_dir
