"""Image files as tensors, and back: bit depth, orientation, alpha, colour profile and EXIF data are kept."""

from __future__ import annotations

import logging
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile as PillowFile
from PIL.TiffImagePlugin import TiffImageFile
from torch import Tensor

from ..checks import is_finite
from ..errors import ImageFileError, InputError
from ..files import read_whole, write_whole
from .channels import check_channels
from .folders import find_images
from .formats import FORMAT_LIST, LOSSLESS_SUFFIXES, READABLE_SUFFIXES, WRITABLE_SUFFIXES
from .png16 import decode_png16, encode_png16, is_png16

# What Pillow raises for files that are damaged, or so large that they cannot be meant.
DAMAGED_IMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

_ORIENTATION_TAG = 0x0112
_BITS_PER_SAMPLE_TAG = 258
_LONGEST_JPEG_EXIF = 65533
_SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})

__all__ = ["LOSSLESS_SUFFIXES", "READABLE_SUFFIXES", "WRITABLE_SUFFIXES", "find_images", "read_image", "write_image"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)  # tensors do not compare to one bool
class ImageFile:
    """The content of an image file, upright.

    ``pixels`` is float32 (C, H, W) in [0, 1], channels grey, grey + alpha, RGB or RGBA. ``bit_depth`` is 8 or 16.
    ``exif`` is what Pillow writes as such: date, camera, place; without a preview, and without an orientation.
    """

    pixels: Tensor
    bit_depth: int = 8
    icc_profile: bytes | None = None
    exif: bytes | None = None

    def __post_init__(self) -> None:
        check_channels(self.pixels, "pixels")
        if self.bit_depth not in (8, 16):
            raise InputError(f"bit_depth must be 8 or 16, got {self.bit_depth}.")

    @property
    def has_alpha(self) -> bool:
        return self.pixels.shape[0] in (2, 4)


def read_image(path: str | Path) -> ImageFile:
    """The picture in a file of any format Pillow reads (of several frames the first), turned upright by its EXIF data.

    Palettes, CMYK and other colour spaces become RGB, transparent colours an alpha channel. 16 bit survive in PNG
    and in grey TIFF files; what is lost of others is logged. Raises ImageFileError for a missing, damaged, too large
    or unknown file, and for pixels of which nothing says which number is white.
    """
    path = Path(path)
    data = _file_content(path)
    try:
        with Image.open(BytesIO(data)) as image:
            _warn_of_loss(path, image)
            pixels = decode_png16(data) if is_png16(data) else _pillow_pixels(path, image)
            exif = _exif(path, image)
            profile = image.info.get("icc_profile")
    except Image.DecompressionBombError as error:
        raise ImageFileError(f"{path} is too large to be read safely: {error}.") from error
    except Image.UnidentifiedImageError as error:
        raise ImageFileError(
            f"{path} is in no format that can be read here ({FORMAT_LIST}), or its beginning is damaged; "
            "export it as PNG or JPEG."
        ) from error
    except DAMAGED_IMAGE as error:
        raise ImageFileError(f"{path} cannot be read, it is damaged or cut off: {error}.") from error
    bit_depth = 16 if pixels.itemsize == 2 else 8
    upright = np.array(_upright(pixels, exif.pop(_ORIENTATION_TAG, 1)), np.int32 if bit_depth == 16 else np.uint8)
    scaled = torch.from_numpy(upright).permute(2, 0, 1).contiguous().float().div_(2**bit_depth - 1)
    return ImageFile(scaled, bit_depth, _fitting_profile(profile, len(scaled)), _packed(path, exif))


def write_image(path: str | Path, image: ImageFile, *, jpeg_quality: int = 95) -> None:
    """Write a PNG, JPEG or WebP file, by the suffix of ``path``; the folder must exist.

    Values are clamped to [0, 1] and rounded. PNG keeps 16 bit, WebP is lossless with 8 bit; that bits are lost is
    logged. JPEG cannot hold transparent pixels. The file appears under its name only when it is complete.
    Raises ImageFileError when that is impossible.
    """
    path = Path(path)
    if not is_finite(image.pixels):
        raise InputError(f"{path} was not written: the picture has values that are not finite numbers.")
    try:
        write_whole(path, _encoded(path, image, jpeg_quality))
    except (OSError, ValueError) as error:
        raise ImageFileError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}.") from error


def _file_content(path: Path) -> bytes:
    try:
        data = read_whole(path)
    except FileNotFoundError as error:
        raise ImageFileError(f"{path} does not exist.") from error
    except OSError as error:
        raise ImageFileError(f"{path} cannot be opened: {error.strerror}.") from error
    if not data:
        raise ImageFileError(f"{path} is empty (0 bytes), not an image.")
    return data


def _warn_of_loss(path: Path, image: PillowFile) -> None:
    if getattr(image, "is_animated", False) and image.format != "MPO":  # MPO: a photo with the camera's own previews
        _log.warning("%s has several pictures, only the first is read", path)
    bits = _bits_per_channel(image)
    if bits > 8 and len(image.getbands()) > 1:
        _log.warning(
            "%s (%s) has %d bit per channel, of which only 8 are read; save it as a 16-bit PNG to keep them",
            *(path, image.format, bits),
        )


def _bits_per_channel(image: PillowFile) -> int:
    """What the file holds, before Pillow makes 8 bit of it; only TIFF and PPM are looked at."""
    if isinstance(image, TiffImageFile):
        return max(image.tag_v2.get(_BITS_PER_SAMPLE_TAG, (8,)))
    if image.format == "PPM" and isinstance(arguments := image.tile[0].args, tuple):
        return int(arguments[-1]).bit_length()  # the number that is white
    return 8


def _exif(path: Path, image: PillowFile) -> Image.Exif:
    try:
        return image.getexif()
    except DAMAGED_IMAGE as error:
        _log.warning("%s has damaged EXIF data (%s); it is taken as upright, turn it yourself if not", path, error)
        return Image.Exif()


def _packed(path: Path, exif: Image.Exif) -> bytes | None:
    try:
        return exif.tobytes() if len(exif) else None
    except (*DAMAGED_IMAGE, TypeError) as error:
        _log.warning("%s has EXIF data that are lost (%s)", path, error)
        return None


def _pillow_pixels(path: Path, image: PillowFile) -> NDArray[Any]:
    """The first frame as (H, W, C), uint8 or uint16."""
    image.load()
    if image.mode in _SIXTEEN_BIT_MODES:
        return np.asarray(image)[..., None].astype(np.uint16)
    if image.mode in ("I", "F"):
        raise ImageFileError(
            f"{path} ({image.format}) gives pixels of mode {image.mode}, of which nothing says which number is white. "
            "Save it as a PNG of 8 or 16 bit per channel."
        )
    is_grey = image.mode in ("1", "L", "LA", "La")
    mode = ("LA" if is_grey else "RGBA") if image.has_transparency_data else ("L" if is_grey else "RGB")
    pixels = np.asarray(image.convert(mode))
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Pixels (H, W, C) turned and mirrored as the EXIF orientation 1..8 asks."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _fitting_profile(profile: bytes | None, channels: int) -> bytes | None:
    """The profile, unless it describes another colour space than these pixels have (CMYK files are read as RGB)."""
    color_space = b"GRAY" if channels <= 2 else b"RGB "
    return profile if profile and profile[16:20] == color_space else None


def _encoded(path: Path, image: ImageFile, jpeg_quality: int) -> bytes:
    suffix = path.suffix.lower()
    if suffix not in WRITABLE_SUFFIXES:
        found = suffix or "a file without suffix"
        raise ImageFileError(f"{path}: cannot write {found}. Use one of {', '.join(WRITABLE_SUFFIXES)}.")
    channels, exif = image.pixels.shape[0], image.exif or b""
    profile = _fitting_profile(image.icc_profile, channels)
    if suffix == ".png" and image.bit_depth == 16:
        return encode_png16(_quantized(image.pixels, 65535, torch.int32).astype(np.uint16), profile, exif)
    if image.bit_depth == 16:
        _log.warning("%s keeps only 8 of 16 bit per channel; choose .png to keep them all", path)
    values = _quantized(image.pixels, 255, torch.uint8)
    picture = Image.fromarray(values[..., 0] if channels == 1 else values)
    buffer = BytesIO()
    if suffix == ".png":
        picture.save(buffer, "PNG", icc_profile=profile, exif=exif)
    elif suffix == ".webp":
        profile = profile if channels >= 3 else None
        picture.save(buffer, "WEBP", lossless=True, exact=True, icc_profile=profile, exif=exif)
    else:
        picture = _without_alpha(picture, path) if image.has_alpha else picture
        if len(exif) > _LONGEST_JPEG_EXIF:
            _log.warning("%s loses its EXIF data, which are longer than JPEG allows; choose .png to keep them", path)
            exif = b""
        picture.save(buffer, "JPEG", quality=jpeg_quality, subsampling=0, icc_profile=profile, exif=exif)
    return buffer.getvalue()


def _quantized(pixels: Tensor, highest: int, dtype: torch.dtype) -> NDArray[Any]:
    levels = pixels.detach().float().clamp(0, 1).mul_(highest).round_().to(dtype)
    return levels.permute(1, 2, 0).cpu().contiguous().numpy()


def _without_alpha(picture: Image.Image, path: Path) -> Image.Image:
    if picture.getchannel("A").getextrema() != (255, 255):
        raise ImageFileError(f"{path}: JPEG cannot hold transparent pixels. Choose .png or .webp.")
    return picture.convert("L" if picture.mode == "LA" else "RGB")
