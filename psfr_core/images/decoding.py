"""Decode image files with Pillow, with a pixel limit and a single error type for damaged files."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePath

from PIL import Image, PngImagePlugin
from PIL.ImageFile import ImageFile as PillowFile

from ..errors import ImageFileError, ImageTooLargeError, OptionError, PsfrError
from ..files import is_special
from .formats import FORMAT_LIST, built_in_formats, plug_in_formats, unreadable_reason

MAX_PIXELS = 250_000_000
"""Default pixel limit: it accepts photos of 200 megapixels and rejects files made to exhaust memory."""

_MAX_TEXT_BYTES = 2**24  # size of a decompressed color profile or text in a PNG file; by default, Pillow accepts 1 MB

_settings_lock = threading.Lock()

_log = logging.getLogger(__name__)


@contextmanager
def decoding(path: PurePath) -> Generator[None]:
    """Turn any error that a decoder raises inside the block into an ImageFileError that names ``path``.

    Decoders raise errors of any type for damaged files. MemoryError and this library's errors pass unchanged. Pipes and
    devices are rejected first, because reading them may never end.
    """
    if isinstance(path, Path) and is_special(path):
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
            f"{path} has none of the readable formats ({FORMAT_LIST}), or its beginning is damaged. {advice}"
        ) from error
    except Exception as error:
        reason = str(error).rstrip(".") or type(error).__name__
        raise ImageFileError(f"{path} cannot be read because it is damaged or truncated: {reason}.") from error


@contextmanager
def opened(
    path: PurePath, content: bytes | None = None, *, max_pixels: int | None = MAX_PIXELS
) -> Generator[PillowFile]:
    """Open an image file, or its ``content`` if given, for decoding inside the ``with`` block.

    Only one thread decodes at a time. Errors inside the block are converted as in ``decoding``. Raises ImageFileError for a file
    that is missing, special or damaged, and OptionError if ``max_pixels`` is below 1. Raises ImageTooLargeError for an image with
    more than ``max_pixels`` pixels, before their memory is allocated. None sets no limit.
    """
    if max_pixels is not None and max_pixels < 1:
        raise OptionError(f"max_pixels must be at least 1, or None for no limit, got {max_pixels}.")
    with decoding(path), _pillow_configured(path, max_pixels):
        try:
            with _open(path if content is None else content) as image:
                if max_pixels is not None and image.width * image.height > max_pixels:
                    megapixels = image.width * image.height / 1e6
                    found = f"it has {image.width} x {image.height} pixels, {megapixels:.6g} megapixels"
                    raise _too_large(path, found, max_pixels)
                yield image
        except Image.DecompressionBombError as error:
            raise _too_large(
                path, f"it has more than {2e-6 * (max_pixels or 0):.6g} megapixels", max_pixels or 0
            ) from error


def _open(source: PurePath | bytes) -> PillowFile:
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


def _too_large(path: PurePath, found: str, max_pixels: int) -> ImageTooLargeError:
    return ImageTooLargeError(
        f"{path} is too large: {found}, but the limit is {max_pixels / 1e6:.6g}. "
        "Reduce the image, or raise the limit (max_pixels)."
    )


@contextmanager
def _pillow_configured(path: PurePath, max_pixels: int | None) -> Generator[None]:
    """Set Pillow's limits for pixels, which its decoders check before they allocate memory, and for text, and log its warnings.

    The settings are global to the process, so a lock is held.
    """
    with _settings_lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK
        Image.MAX_IMAGE_PIXELS = max_pixels  # Pillow raises above twice this limit
        PngImagePlugin.MAX_TEXT_CHUNK = _MAX_TEXT_BYTES
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK = before
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            _log.warning("%s: %s", path, warning.message)
