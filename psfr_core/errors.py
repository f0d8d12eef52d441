"""Exceptions of this library. Their messages say what is wrong, what was found, what is needed, and what to do."""


class PsfrError(Exception):
    """Base class of all errors that this library raises."""


class InputError(PsfrError, ValueError):
    """An argument has the wrong shape, type or range."""


class PositionError(InputError, IndexError):
    """An index is out of range."""


class OptionError(PsfrError, ValueError):
    """An option is outside its range or contradicts another one."""


class NoFaceError(PsfrError):
    """No face was found, but one is required."""


class CheckpointError(PsfrError):
    """A weight file cannot be read or contains another model than expected."""


class ModelNotFoundError(PsfrError):
    """A model is not installed or its name is unknown."""


class DownloadError(PsfrError):
    """A download failed or has unexpected content."""


class PublishError(PsfrError):
    """An upload failed."""


class ImageFileError(PsfrError):
    """An image file cannot be read or written."""


class MissingPackageError(PsfrError, ImportError):
    """An optional package is required but not installed."""


class TrainingError(PsfrError):
    """A training run cannot start or continue."""


# Phrases of CUDA and MPS, CUDA libraries, the CPU, memory-mapped files, and the CPU on Windows.
_OUT_OF_MEMORY = (
    "out of memory",
    "alloc_failed",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether ``error`` means that memory ran out; PyTorch has a type for it on some devices only."""
    message = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(phrase in message for phrase in _OUT_OF_MEMORY)
    )
