"""Write image files in PNG, WebP and JPEG."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..checks import is_finite
from ..errors import ImageFileError, InputError
from ..files import atomic_write
from ..url_path import Location, UrlPath
from .color_profile import fitting_profile
from .formats import WRITABLE_SUFFIXES
from .image_file import ImageFile
from .metadata import jpeg_options, png_options, webp_options
from .png16 import encode_png16

_BLOCK_ROWS = 256
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}

_log = logging.getLogger(__name__)


def write_image(path: str | Location, image: ImageFile, *, jpeg_quality: int = 95) -> None:
    """Write ``image`` to a PNG, JPEG or WebP file, depending on the suffix of ``path``. The folder must exist.

    Values are clamped to [0, 1] and rounded. PNG keeps 16 bits and all metadata. WebP is lossless with 8 bits. JPEG does
    not support transparency. ``jpeg_quality`` is Pillow's, 0 to 100, and applies only to JPEG. Losses of precision and metadata
    are logged. The file is written atomically. A UrlPath is written to its store, which creates the folder.

    Raises:
        ImageFileError: the file cannot be written, or the format does not support the image.
        InputError: the image has values that are not finite.
        MissingPackageError: a PNG file has 16-bit color, and OpenCV is not installed, or a package for the store of a UrlPath is
            missing.
    """
    path = path if isinstance(path, UrlPath) else Path(path)
    if path.suffix.lower() not in WRITABLE_SUFFIXES:
        found = path.suffix.lower() or "a file without a suffix"
        raise ImageFileError(f"{path}: {found} cannot be written. Use one of {', '.join(WRITABLE_SUFFIXES)}.")
    if not is_finite(image.pixels):
        raise InputError(f"{path} was not written: the image contains NaN or infinite values.")
    try:
        data = _encoded(path, image, jpeg_quality)
        path.write_bytes(data) if isinstance(path, UrlPath) else atomic_write(path, data)
    except (OSError, ValueError) as error:
        raise ImageFileError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}.") from error


def _encoded(path: PurePath, image: ImageFile, jpeg_quality: int) -> bytes | memoryview:
    suffix, channels = path.suffix.lower(), len(image.pixels)
    profile = fitting_profile(path, image.icc_profile, channels)
    if suffix == ".png" and image.bit_depth == 16:
        metadata = _saved(Image.new("L", (1, 1)), "PNG", icc_profile=profile, **png_options(path, image))
        return encode_png16(np.concatenate([*_levels(image.pixels, np.dtype(np.uint16))]), bytes(metadata))
    if image.bit_depth == 16:
        _log.warning("%s keeps only 8 of 16 bits per channel; use .png to keep all", path)
    pillow_image = _to_pillow(image.pixels)
    if suffix == ".png":
        return _saved(pillow_image, "PNG", icc_profile=profile, **png_options(path, image))
    if suffix == ".webp":
        if profile is not None and channels <= 2:
            _log.warning("%s: WebP has no gray color profiles, so the profile is lost; use .png to keep it", path)
            profile = None
        return _saved(pillow_image, "WEBP", lossless=True, exact=True, icc_profile=profile, **webp_options(path, image))
    pillow_image = _without_alpha(pillow_image, path) if image.has_alpha else pillow_image
    options = jpeg_options(path, image)
    return _saved(pillow_image, "JPEG", quality=jpeg_quality, subsampling=0, icc_profile=profile, **options)


def _saved(image: Image.Image, kind: str, **options: Any) -> memoryview:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getbuffer()


def _to_pillow(pixels: Tensor) -> Image.Image:
    channels, height, width = pixels.shape
    image = Image.new(_MODES[channels], (width, height))
    top = 0
    for rows in _levels(pixels, np.dtype(np.uint8)):
        image.paste(Image.fromarray(rows[..., 0] if channels == 1 else rows), (0, top))
        top += len(rows)
    return image


def _levels(pixels: Tensor, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """Yield ``pixels`` (C, H, W) as blocks of rows (h, W, C) in an unsigned ``dtype``, whose maximum is white.

    Converting blocks instead of the whole image saves memory.
    """
    for rows in pixels.detach().split(_BLOCK_ROWS, dim=1):
        levels = rows.float().clamp(0, 1).mul_(np.iinfo(dtype).max).round_()
        yield levels.permute(1, 2, 0).cpu().numpy().astype(dtype, order="C")


def _without_alpha(image: Image.Image, path: PurePath) -> Image.Image:
    if image.getchannel("A").getextrema() != (255, 255):
        raise ImageFileError(f"{path}: JPEG does not support transparent pixels. Use .png or .webp.")
    return image.convert("L" if image.mode == "LA" else "RGB")
