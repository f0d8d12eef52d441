"""Define the titles of this pack's errors in ComfyUI's dialog."""

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
    """Set readable titles for the errors of the library, in place of the names of their classes.

    ComfyUI shows the module and the name of an error's class as the title. The module of a pack contains the path of its
    folder. ComfyUI omits only the module ``builtins``. An error without a title in ``_TITLES`` gets the title of its base class.
    """
    _set_title(PsfrError, _TITLES[PsfrError])


def _set_title(error: type[PsfrError], inherited: str) -> None:
    title = _TITLES.get(error, inherited)
    error.__module__, error.__qualname__ = "builtins", title
    for derived in error.__subclasses__():
        _set_title(derived, title)
