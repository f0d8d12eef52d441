"""Define the exceptions of this library. Messages say what is wrong, what was found, what is needed, and what to do."""


class PsfrError(Exception):
    """Base class of all errors that this library raises."""


class InputError(PsfrError, ValueError):
    """Raised for arguments of the wrong shape, type or range."""


class PositionError(InputError, IndexError):
    """Raised for indices out of range."""


class OptionError(PsfrError, ValueError):
    """Raised for options that are out of range or contradict each other."""


class NoFaceError(PsfrError):
    """Raised when no face is found but one is required."""


class CheckpointError(PsfrError):
    """Raised when a weight file cannot be read or does not contain the expected model."""


class ModelNotFoundError(PsfrError):
    """Raised when a model is not installed or its name is unknown.

    ``downloadable`` is the name of the missing model if a download could provide it.
    """

    def __init__(self, message: str, *, downloadable: str | None = None) -> None:
        super().__init__(message)
        self.downloadable = downloadable


class DownloadError(PsfrError):
    """Raised when a download fails or has unexpected content."""


class ExportError(PsfrError):
    """Raised when the outputs of an exported network differ too much from the outputs of the original network."""


class PublishError(PsfrError):
    """Raised when an upload fails."""


class ImageFileError(PsfrError):
    """Raised when an image file cannot be read or written."""


class ImageTooLargeError(ImageFileError):
    """Raised when an image file has more pixels than the limit."""


class VideoFileError(PsfrError):
    """Raised when a video file cannot be read or written."""


class MissingPackageError(PsfrError, ImportError):
    """Raised when an optional package is needed but cannot be imported."""


class WorkerError(PsfrError):
    """Raised when worker processes end in every attempt to load the models or to do the work."""


class TrainingError(PsfrError):
    """Raised when a training run cannot start or continue."""


def describe(error: Exception) -> str:
    """Return a message about ``error``. The message includes the type if the error is unexpected."""
    if is_out_of_memory(error):
        return "not enough memory" + (f": {error}" if str(error) else "")
    if isinstance(error, (PsfrError, OSError)):
        return str(error)
    return f"unexpected {type(error).__name__}: {error}"


# Phrases in the messages of CUDA and MPS, CUDA libraries, the CPU, memory-mapped files, the CPU on Windows, and MPS for a single
# large tensor, in this order.
_OUT_OF_MEMORY = (
    "out of memory",
    "alloc_failed",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "invalid buffer size",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether ``error`` is an out-of-memory error.

    The message is examined, because PyTorch raises a special type of error only on some devices.
    """
    message = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(phrase in message for phrase in _OUT_OF_MEMORY)
    )
