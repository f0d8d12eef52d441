"""From what a user names to a file on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..checks import check_type
from ..errors import ModelNotFoundError, OptionError
from ..files import expand_user
from .folders import default_model_folder, find_model_file, search_folders, warn_if_changed
from .hub import download_model, manual_steps
from .manifest import ModelFile, ModelKind, is_model_name, model_file, name_choices


def locate_model(
    source: str | Path,
    kind: ModelKind | None,
    *,
    folders: Sequence[str | Path] = (),
    download: bool = False,
) -> Path:
    """Return the file behind ``source``, a model name or a path; ``kind`` restricts the names that are accepted.

    ``download`` allows to fetch a known model that is missing.
    """
    check_type(source, str | Path, "source")
    if not is_model_name(source):
        return _existing_file(expand_user(source), kind)
    entry = model_file(str(source))
    if kind not in (None, entry.kind):
        raise OptionError(f"{entry.name} is a {entry.kind.value}. {name_choices(kind)}")
    path = find_model_file(entry, folders)
    if path is not None:
        warn_if_changed(entry, path)
        return path
    if download and not entry.is_bundled:
        return download_model(entry, default_model_folder())
    raise ModelNotFoundError(_not_here(entry, folders))


def _existing_file(path: Path, kind: ModelKind | None) -> Path:
    if path.is_file():
        return path
    if path.is_dir():
        raise ModelNotFoundError(f"{path} is a folder, not a weight file. {name_choices(kind)}")
    raise ModelNotFoundError(f"There is no file {path}, and no model of that name. {name_choices(kind)}")


def _not_here(entry: ModelFile, folders: Sequence[str | Path]) -> str:
    looked = ", ".join(str(folder) for folder in search_folders(entry, folders))
    missing = f"{entry.name} is not on this machine: {entry.file_name} was looked for in {looked}."
    if entry.is_bundled:
        return f"{missing} It ships with this package: install the package again."
    return (
        f"{missing} Fetch it with: psfr download {entry.name}. By hand: {manual_steps(entry, default_model_folder())}"
    )
