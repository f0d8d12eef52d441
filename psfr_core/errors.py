"""What can go wrong, as types. Every message says what was wrong, what was found, what is needed and what to do."""


class PsfrError(Exception):
    """Base of every error this library raises on purpose."""


class InputError(PsfrError, ValueError):
    """An image, tensor or value given to a function has the wrong shape, type or range."""


class PositionError(InputError, IndexError):
    """A position lies beyond the end."""


class OptionError(PsfrError, ValueError):
    """An option is outside its range or contradicts another one."""


class NoFaceError(PsfrError):
    """No face was found where one is needed."""


class CheckpointError(PsfrError):
    """A weight file cannot be read, or is not what was asked for."""


class ModelNotFoundError(PsfrError):
    """A model is not on this machine, or no model has that name."""


class DownloadError(PsfrError):
    """A download failed, or brought something else than expected."""


class PublishError(PsfrError):
    """An upload failed."""


class ImageFileError(PsfrError):
    """An image file cannot be read or written."""


class MissingPackageError(PsfrError, ImportError):
    """An optional package is needed for what was asked."""


class TrainingError(PsfrError):
    """A training run cannot start or go on."""


# The words of CUDA and MPS, of CUDA's libraries, of the CPU, of files mapped into memory, and of the CPU on Windows.
_OUT_OF_MEMORY = (
    "out of memory",
    "alloc_failed",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; for that PyTorch has a type of its own on some devices only."""
    words = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(part in words for part in _OUT_OF_MEMORY)
    )
