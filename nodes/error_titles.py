"""The titles of errors in ComfyUI's dialog."""

from __future__ import annotations

from ..psfr_core.errors import (
    CheckpointError,
    DownloadError,
    ImageFileError,
    InputError,
    MissingPackageError,
    ModelNotFoundError,
    NoFaceError,
    OptionError,
    PsfrError,
    VideoFileError,
)

_TITLES: dict[type[PsfrError], str] = {
    PsfrError: "PSFR-GAN error",
    InputError: "Invalid input",
    OptionError: "Invalid option",
    NoFaceError: "No face found",
    CheckpointError: "Unusable model file",
    ModelNotFoundError: "Missing model",
    DownloadError: "Download failed",
    ImageFileError: "Unusable image file",
    VideoFileError: "Unusable video file",
    MissingPackageError: "Missing Python package",
}


def set_error_titles() -> None:
    """Give the errors of the library readable titles.

    ComfyUI titles its dialog with the module and the name of the class. The module of a pack is the path of its folder; ComfyUI
    leaves out only the module of Python's own
    """
    _set_title(PsfrError, _TITLES[PsfrError])


def _set_title(error: type[PsfrError], inherited: str) -> None:
    title = _TITLES.get(error, inherited)
    error.__module__, error.__qualname__ = "builtins", title
    for derived in error.__subclasses__():
        _set_title(derived, title)
