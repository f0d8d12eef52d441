"""Pillow's decoders behind one door: a limit on pixels, and one error for whatever a damaged file makes them raise."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from PIL.ImageFile import ImageFile as PillowFile

from ..errors import ImageFileError, OptionError, PsfrError
from ..files import is_special
from .formats import FORMAT_LIST, built_in_formats, plug_in_formats, unreadable_reason

MAX_PIXELS = 250_000_000
"""The default limit: photos of 200 megapixels pass, files made to exhaust memory do not."""

_settings_lock = threading.Lock()

_log = logging.getLogger(__name__)


@contextmanager
def decoding(path: Path) -> Generator[None]:
    """Turn whatever a decoder raises inside into an ImageFileError that names ``path``.

    Decoders of damaged files raise errors of any type. MemoryError and this library's errors stay what they are.
    Pipes and devices are refused before anything waits for them.
    """
    if is_special(path):
        raise ImageFileError(f"{path} is not a regular file. Copy its content into a file.")
    try:
        yield
    except (PsfrError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise ImageFileError(f"{path} does not exist.") from error
    except PermissionError as error:
        raise ImageFileError(f"{path} cannot be opened: {error.strerror}.") from error
    except Image.UnidentifiedImageError as error:
        advice = unreadable_reason(path) or "Export it as PNG or JPEG."
        raise ImageFileError(
            f"{path} is in no format that can be read here ({FORMAT_LIST}), or its beginning is damaged. {advice}"
        ) from error
    except Exception as error:
        reason = str(error).rstrip(".") or type(error).__name__
        raise ImageFileError(f"{path} cannot be read, it is damaged or cut off: {reason}.") from error


@contextmanager
def opened(path: Path, content: bytes | None = None, *, max_pixels: int | None = MAX_PIXELS) -> Generator[PillowFile]:
    """Open an image file, or the ``content`` read from it, for decoding inside the ``with`` block, one at a time.

    Raises ImageFileError for damaged content and for more than ``max_pixels`` pixels, before memory is taken for them;
    None lifts the limit.
    """
    if max_pixels is not None and max_pixels < 1:
        raise OptionError(f"max_pixels must be at least 1, or None for no limit, got {max_pixels}.")
    with decoding(path), _pillow_set_up(path, max_pixels):
        try:
            with _open(path if content is None else content) as image:
                if max_pixels is not None and image.width * image.height > max_pixels:
                    found = (
                        f"{image.width} x {image.height} pixels are {image.width * image.height / 1e6:.6g} megapixels"
                    )
                    raise _too_large(path, found, max_pixels)
                yield image
        except Image.DecompressionBombError as error:
            raise _too_large(path, f"it has over {2e-6 * (max_pixels or 0):.6g} megapixels", max_pixels or 0) from error


def _open(source: Path | bytes) -> PillowFile:
    def open_as(formats: tuple[str, ...]) -> PillowFile:
        return Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=formats)

    try:
        return open_as(built_in_formats())
    except Exception as error:
        if not (formats := plug_in_formats()):
            raise
        try:
            return open_as(formats)
        except Image.UnidentifiedImageError:
            raise error from None


def _too_large(path: Path, found: str, max_pixels: int) -> ImageFileError:
    return ImageFileError(
        f"{path} is too large: {found}, the limit is {max_pixels / 1e6:.6g}. Reduce the image, or raise the limit "
        "(max_pixels; --max-megapixels on the command line)."
    )


@contextmanager
def _pillow_set_up(path: Path, max_pixels: int | None) -> Generator[None]:
    """Set Pillow's own limit, which its decoders check where they take memory, and log what it warns of.

    Both are settings of the whole process, hence the lock.
    """
    with _settings_lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels  # it raises above twice the limit
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            _log.warning("%s: %s", path, warning.message)
