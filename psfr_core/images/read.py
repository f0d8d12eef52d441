"""Read image files with their bit depth, orientation, alpha, colors and metadata."""

from __future__ import annotations

import logging
import re
from io import BytesIO
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.ImageFile import ImageFile as PillowFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile
from torch import Tensor

from ..errors import ImageFileError
from ..files import read_regular_file
from ..url_path import Location, UrlPath
from .color_profile import cmyk_to_srgb, fitting_profile
from .decoding import MAX_PIXELS, decoding, opened
from .image_file import ImageFile
from .jpeg_end import with_end_marker
from .metadata import (
    ORIENTATION_TAG,
    exchange_resolutions,
    pack_exif,
    read_dpi,
    read_exif,
    read_texts,
    read_xmp,
    warn_of_lost_metadata,
)
from .png16 import decode_png16, split_png16

_BITS_PER_SAMPLE_TAG = 258
_PHOTOMETRIC_TAG = 262  # 0: the value 0 is white
_TRANSPOSED = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
_SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})

_log = logging.getLogger(__name__)


def read_image(path: str | Location, *, max_pixels: int | None = MAX_PIXELS) -> ImageFile:
    """Read the first frame of an image file, rotated upright by its EXIF orientation.

    Palettes and other color spaces are converted to RGB, and CMYK colors are converted with their color profile. Transparent
    colors become an alpha channel. PNG files and gray TIFF and JPEG 2000 files keep 16 bits. Other files with more than 8 bits per
    channel lose bits. Lost bits, lost frames, lost metadata and a missing JPEG end marker are logged as warnings.

    Args:
        path: file in any format of ``formats.READABLE_SUFFIXES`` or of an installed plug-in. A UrlPath is read from its store.
        max_pixels: limit on width times height, checked before memory is allocated; None for no limit.

    Raises:
        ImageFileError: the file is missing, damaged, truncated, of an unknown format, or has pixels with an unknown white level.
        ImageTooLargeError: the image has more than ``max_pixels`` pixels.
        OptionError: ``max_pixels`` is below 1, or the store of a UrlPath is unknown.
        MissingPackageError: a PNG file has 16-bit color, and OpenCV is not installed, or a package for the store of a UrlPath is
            missing.
    """
    path = path if isinstance(path, UrlPath) else Path(path)
    data = _file_content(path)
    with decoding(path):
        png16 = split_png16(data)
    with opened(path, png16.metadata if png16 else data, max_pixels=max_pixels) as image:
        _warn_of_lost_pixels(path, image, data)
        if png16 is not None:
            return _image_file(path, image, decode_png16(png16), image.info.get("icc_profile"))
        loaded = _loaded(path, image, data)
        return _image_file(path, loaded, *_pillow_pixels(path, loaded))


def _image_file(path: PurePath, image: PillowFile, pixels: NDArray[Any], profile: object) -> ImageFile:
    """Rotate the stored ``pixels`` (H, W, C) upright, and combine them with the color ``profile`` and other metadata."""
    exif = read_exif(path, image)
    warn_of_lost_metadata(path, image, exif)
    orientation, dpi = exif.get(ORIENTATION_TAG, 1), read_dpi(image, exif)
    if orientation in _TRANSPOSED:
        dpi = None if dpi is None else (dpi[1], dpi[0])
        exchange_resolutions(exif)
    scaled = _scaled(_upright(pixels, orientation))
    return ImageFile(
        scaled,
        bit_depth=8 * pixels.itemsize,
        icc_profile=fitting_profile(path, profile, len(scaled)),
        xmp=read_xmp(path, image, exif),
        exif=pack_exif(path, exif),
        texts=read_texts(image),
        dpi=dpi,
    )


def _file_content(path: Location) -> bytes:
    try:
        data = path.read_bytes() if isinstance(path, UrlPath) else read_regular_file(path)
    except FileNotFoundError as error:
        raise ImageFileError(f"{path} does not exist.") from error
    except OSError as error:
        raise ImageFileError(f"{path} cannot be opened: {error.strerror or error}.") from error
    if not data:
        raise ImageFileError(f"{path} is empty (0 bytes), not an image.")
    return data


def _warn_of_lost_pixels(path: PurePath, image: PillowFile, data: bytes) -> None:
    if getattr(image, "is_animated", False) and image.format != "MPO":  # MPO files contain one photo and previews of it
        _log.warning("%s has several frames; only the first is read", path)
    bits = _bits_per_channel(image, data)
    if bits > 8 and len(image.getbands()) > 1:
        _log.warning(
            "%s (%s) has %d bits per channel, of which only 8 are read; save it as a 16-bit PNG to keep all",
            *(path, image.format, bits),
        )


def _bits_per_channel(image: PillowFile, data: bytes) -> int:
    """Return the bits per channel in the file ``data`` before Pillow reduces them, and 8 for all other files."""
    if isinstance(image, TiffImageFile):
        return max(image.tag_v2.get(_BITS_PER_SAMPLE_TAG, (8,)))
    if image.format == "PPM" and isinstance(arguments := image.tile[0][3], tuple):
        return int(arguments[-1]).bit_length()  # the last argument is the value of white
    if image.format == "AVIF":  # AV1 Codec ISO Media File Format Binding, 2.3.3; color and alpha each have such a box
        flags = [match[1][0] for match in re.finditer(rb"av1C..(.)", data, re.DOTALL)]
        return max(((12 if flag & 0x20 else 10) if flag & 0x40 else 8 for flag in flags), default=8)
    if image.format == "JPEG2000" and (start := data.find(b"\xff\x4f\xff\x51")) >= 0:  # ISO/IEC 15444-1, A.5.1
        sizes = data[start + 42 :][: 3 * len(image.getbands()) : 3]
        return max(((size & 0x7F) + 1 for size in sizes), default=8)
    if image.format == "HEIF":
        return int(image.info.get("bit_depth", 8))
    return 8


def _loaded(path: PurePath, image: PillowFile, data: bytes) -> PillowFile:
    """Decode the first frame of ``image``, whose file is ``data``. Accept JPEG files that lack only their end marker."""
    try:
        image.load()
    except OSError:
        if image.format not in ("JPEG", "MPO") or (complete := with_end_marker(data)) is None:
            raise
        _log.warning("%s has no JPEG end marker; all its pixels were read", path)
        completed = JpegImageFile(BytesIO(complete))
        completed.load()
        return completed
    return image


def _pillow_pixels(path: PurePath, image: PillowFile) -> tuple[NDArray[Any], object]:
    """Return the pixels (H, W, C), uint8 or uint16, of a decoded image and their unchecked color profile."""
    profile = image.info.get("icc_profile") or image.info.get("icc")
    if image.mode in _SIXTEEN_BIT_MODES:
        return _full_scale(image)[..., None], profile
    if image.mode in ("I", "F"):
        raise ImageFileError(
            f"{path} ({image.format}) has pixels of mode {image.mode}, whose white level is unknown. "
            "Save it as PNG with 8 or 16 bits per channel."
        )
    if image.mode == "CMYK":
        converted, profile = cmyk_to_srgb(path, image, profile)
    else:
        is_gray = image.mode in ("1", "L", "LA", "La")
        mode = ("LA" if is_gray else "RGBA") if image.has_transparency_data else ("L" if is_gray else "RGB")
        converted = image if image.mode == mode else image.convert(mode)
    pixels = np.asarray(converted)
    return (pixels if pixels.ndim == 3 else pixels[..., None]), profile


def _full_scale(image: PillowFile) -> NDArray[Any]:
    """Return the gray levels (H, W) of a 16-bit image, with 0 for black and 65535 for white.

    Pillow neither inverts TIFF files in which 0 is white, nor scales those with fewer than 16 bits.
    """
    levels = np.asarray(image)
    if not isinstance(image, TiffImageFile):
        return levels
    bits = max(image.tag_v2.get(_BITS_PER_SAMPLE_TAG, (16,)))
    if bits < 16:
        levels = np.round(levels * (65535 / (2**bits - 1))).astype(np.uint16)
    return 65535 - levels if image.tag_v2.get(_PHOTOMETRIC_TAG) == 0 else levels


def _upright(pixels: NDArray[Any], orientation: object) -> NDArray[Any]:
    """Rotate and mirror pixels (H, W, C) by the EXIF orientation, 1 to 8. Other values change nothing."""
    if orientation in _TRANSPOSED:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _scaled(pixels: NDArray[Any]) -> Tensor:
    """Convert pixels (H, W, C), uint8 or uint16, to float32 (C, H, W) in [0, 1] without intermediate copies."""
    height, width, channels = pixels.shape
    scaled = torch.empty(channels, height, width)
    for channel, plane in enumerate(scaled.numpy()):
        np.divide(pixels[..., channel], 256**pixels.itemsize - 1, out=plane, dtype=np.float32)
    return scaled
