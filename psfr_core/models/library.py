"""Locate the weight files of models by name or path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..checks import check_type
from ..errors import ModelNotFoundError, OptionError
from ..files import expand_user
from .manifest import ModelFile, ModelKind, known_file, known_model, name_choices
from .model_check import warn_if_changed


def assets_folder() -> Path:
    """Return the folder of the models that ship with this package."""
    return Path(__file__).parent.parent / "assets"


def default_model_folder() -> Path:
    """Return the default folder for downloaded models. Raise OptionError if the home folder is unknown."""
    return expand_user("~/.cache/psfrgan")


def _default_folders() -> list[Path]:
    """Return the default folder, or nothing for a user without a home folder, as in some containers."""
    try:
        return [default_model_folder()]
    except OptionError:
        return []


@dataclass(frozen=True)
class ModelLibrary:
    """Known models and the folders that contain their files.

    Bundled models are in the package. Other models are searched for in each of ``folders``, which may include ComfyUI's ``models``
    folder, and then in the default folder. ``fetch`` downloads a known model that is missing, and returns its path. None forbids
    downloads.
    """

    folders: Sequence[str | Path] = ()
    fetch: Callable[[ModelFile], Path] | None = None

    def __post_init__(self) -> None:
        check_type(self.folders, list | tuple, "folders")

    def locate(self, source: str | Path | ModelFile, kind: ModelKind | None = None) -> Path:
        """Return the path of the weight file ``source``, which is a known model, its name, or a path.

        A known model must have the task ``kind``, if given. A file with the name of a published file but another hash is used
        with a warning. Raises ModelNotFoundError if the file does not exist, CheckpointError if the hash of a file
        cannot be computed, OptionError for a known model with another task, and the errors of ``fetch``. The messages mention no
        commands or widgets. Callers add how their users get a missing model.
        """
        check_type(source, str | Path | ModelFile, "source")
        if isinstance(source, ModelFile):
            entry = source
        else:
            entry = known_model(source)
            if entry is None:
                return _existing_file(expand_user(source), kind)
        if kind not in (None, entry.kind):
            raise OptionError(f"{entry.name} is a {entry.kind.value}. {name_choices(kind)}")
        path = self.find(entry)
        if path is not None:
            warn_if_changed(entry, path)
            return path
        if self.fetch is not None and not entry.is_bundled:
            return self.fetch(entry)
        raise self._missing(entry)

    def find(self, entry: ModelFile) -> Path | None:
        """Return the path of a known model or of its converted copy, or None if neither exists."""
        if entry.is_bundled and (bundled := assets_folder() / entry.file_name).is_file():
            return bundled
        given = [path / below for path in map(expand_user, self.folders) for below in ("", *entry.folders)]
        names = (entry.file_name, entry.converted_name)
        paths = (folder / name for folder in [*given, *_default_folders()] for name in names)
        return next((path for path in paths if path.is_file()), None)

    def _missing(self, entry: ModelFile) -> ModelNotFoundError:
        bundled = [assets_folder()] if entry.is_bundled else []
        folders = ", ".join(map(str, [*bundled, *self.folders, *_default_folders()]))
        missing = f"{entry.name} is not on this machine: {entry.file_name} was not found in {folders}."
        if entry.is_bundled:
            return ModelNotFoundError(f"{missing} It ships with this package, so install the package again.")
        source = " or ".join(entry.addresses)
        return ModelNotFoundError(
            f"{missing} Download it from {source} and put it into one of these folders.", downloadable=entry.name
        )


def _existing_file(path: Path, kind: ModelKind | None) -> Path:
    if path.is_dir():
        raise ModelNotFoundError(f"{path} is a folder, not a weight file. {name_choices(kind)}")
    if not path.is_file():
        raise ModelNotFoundError(f"There is no file {path}, and no model of that name. {name_choices(kind)}")
    entry = known_file(path.name)
    if entry is not None:
        warn_if_changed(entry, path)
    return path
