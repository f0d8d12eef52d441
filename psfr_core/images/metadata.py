"""Read the metadata of image files, and prepare it for PNG, JPEG and WebP. Losses are logged."""

from __future__ import annotations

import logging
import math
import re
import struct
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

from PIL import Image
from PIL.ImageFile import ImageFile as PillowFile
from PIL.PngImagePlugin import PngInfo

from .image_file import ImageFile

ORIENTATION_TAG = 0x0112

COMMENT = "Comment"
"""Keyword of the comment of a JPEG file."""

_XMP_TAG = 700
_XMP_KEYWORD = "XML:com.adobe.xmp"
_IPTC_TAG, _IPTC_RESOURCE = 33723, 0x0404
# TIFF tags that are not copied into the EXIF data of another file. They describe how pixels are stored, or contain other data, such
# as XMP, which is read separately.
_STORAGE_TAGS = frozenset(
    {*range(254, 267), 273, *range(277, 282), 284, *range(286, 294), 297, 317, *range(320, 348), 351, *range(400, 436)}
    | {*range(512, 522), *range(529, 533), 559, _XMP_TAG, 32781, *range(32994, 33000), 33421, 33422, _IPTC_TAG}
    | {34377, 34675, 37724, *range(50706, 52600)}
)
_RESOLUTION_TAGS, _RESOLUTION_UNIT_TAG, _INCH, _CENTIMETER = (282, 283), 296, 2, 3
_KEYWORDS_OF_OTHER_DATA = frozenset({_XMP_KEYWORD, "Raw profile type exif", "Raw profile type APP1"})
_XMP_ORIENTATIONS = (rb'\s+tiff:Orientation="[^"]*"', rb"<tiff:Orientation>[^<]*</tiff:Orientation>")
_XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
_MAX_SEGMENT_BYTES = 65533  # maximum content of a JPEG segment
_MAX_DPI = 65535  # JPEG files store a resolution in 16 bits

_log = logging.getLogger(__name__)


def read_exif(path: PurePath, image: PillowFile) -> Image.Exif:
    """Return the EXIF data, including the orientation. If it is damaged, log a warning and return empty data."""
    try:
        # PngImageFile.getexif would decode the pixels, which ``Png16.metadata`` does not contain.
        return Image.Image.getexif(image)
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises errors of any type for damaged data
        _log.warning(
            "%s has damaged EXIF data (%s). It is read without rotation. Rotate it manually if necessary.", path, error
        )
        return Image.Exif()


def pack_exif(path: PurePath, exif: Image.Exif) -> bytes | None:
    """Remove storage tags and orientation from ``exif``, and return the rest as bytes.

    Returns None if nothing is left. If the data is damaged, logs a warning and returns None.
    """
    try:
        for tag in exif.keys() & (_STORAGE_TAGS | {ORIENTATION_TAG}):
            del exif[tag]
        return exif.tobytes() if len(exif) else None
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises errors of any type for damaged data
        _log.warning("%s has damaged EXIF data, which is lost (%s)", path, error)
        return None


def read_xmp(path: PurePath, image: PillowFile, exif: Image.Exif) -> bytes | None:
    """Return the XMP packet without its orientation, or None if the file has none."""
    packet = image.info.get("xmp") or image.info.get(_XMP_KEYWORD) or exif.get(_XMP_TAG)
    if isinstance(packet, str):
        packet = packet.encode()
    if not isinstance(packet, bytes):
        return None
    for pattern in _XMP_ORIENTATIONS:
        packet = re.sub(pattern, b"", packet)
    return packet.strip(b"\0") or None


def read_texts(image: PillowFile) -> dict[str, str]:
    """Return the texts of a PNG file by keyword, or the comment of a file in another format under ``COMMENT``."""
    if image.format == "PNG":
        found = {str(key): text for key, text in image.info.items() if isinstance(text, str)}
        return {key: text for key, text in found.items() if key not in _KEYWORDS_OF_OTHER_DATA}
    segments = [content for kind, content in getattr(image, "applist", ()) if kind == "COM"]
    comment = b"\n".join(segments) or image.info.get("comment")
    if isinstance(comment, bytes):
        comment = _decoded(comment)
    comment = comment.strip("\0") if isinstance(comment, str) else ""
    return {COMMENT: comment} if comment else {}


def exchange_resolutions(exif: Image.Exif) -> None:
    """Exchange the resolutions along x and y in ``exif``, in place, as for an image that is rotated by 90 degrees."""
    if all(tag in exif for tag in _RESOLUTION_TAGS):
        across, down = _RESOLUTION_TAGS
        exif[across], exif[down] = exif[down], exif[across]


def read_dpi(image: PillowFile, exif: Image.Exif) -> tuple[float, float] | None:
    """Return the resolution along x and y in pixels per inch, or None if it is missing or invalid."""
    try:
        # In these formats, Pillow reports a default resolution for a file that stores it only in tags or not at all.
        has_own = image.format not in ("JPEG", "MPO", "TIFF", "WEBP") or image.info.get("jfif_unit")
        x, y = (float(value) for value in (image.info["dpi"] if has_own else _resolution_of_tags(exif)))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    is_valid = all(math.isfinite(value) and 0 < value <= _MAX_DPI for value in (x, y))
    return (x, y) if is_valid else None


def _resolution_of_tags(exif: Image.Exif) -> list[float]:
    inches = {_INCH: 1.0, _CENTIMETER: 2.54}[exif.get(_RESOLUTION_UNIT_TAG, _INCH)]
    return [float(exif[tag]) * inches for tag in _RESOLUTION_TAGS]


def warn_of_lost_metadata(path: PurePath, image: PillowFile, exif: Image.Exif) -> None:
    """Log a warning if the file has IPTC data, which is not read."""
    photoshop = image.info.get("photoshop")
    if _IPTC_TAG in exif or (isinstance(photoshop, dict) and _IPTC_RESOURCE in photoshop):
        _log.warning("%s has IPTC data, which is lost", path)


def png_options(path: PurePath, image: ImageFile) -> dict[str, Any]:
    """Return options of Pillow's PNG writer for all metadata except the color profile."""
    chunks = PngInfo()
    if image.xmp is not None:
        try:
            chunks.add_itxt(_XMP_KEYWORD, image.xmp.decode())
        except UnicodeDecodeError:
            _log.warning("%s loses its XMP data, which is not UTF-8 text", path)
    for keyword, text in image.texts.items():
        chunks.add_text(keyword, text)
    return {"exif": image.exif or b"", "pnginfo": chunks} | ({"dpi": image.dpi} if image.dpi else {})


def jpeg_options(path: PurePath, image: ImageFile) -> dict[str, Any]:
    """Return options of Pillow's JPEG writer for all metadata except the color profile."""
    exif, xmp = image.exif or b"", _XMP_SEGMENT + image.xmp if image.xmp else b""
    comment = image.texts.get(COMMENT, "").encode(errors="replace")
    if len(exif) > _MAX_SEGMENT_BYTES:
        _warn_of_loss(path, "its EXIF data, which is longer than JPEG allows")
        exif = b""
    if len(xmp) > _MAX_SEGMENT_BYTES:
        _warn_of_loss(path, "its XMP data, which is longer than JPEG allows")
        xmp = b""
    if len(comment) > _MAX_SEGMENT_BYTES:
        _warn_of_loss(path, "its comment, which is longer than JPEG allows")
        comment = b""
    _warn_of_lost_texts(path, image.texts.keys() - {COMMENT}, "JPEG")
    extra = b"\xff\xe1" + struct.pack(">H", 2 + len(xmp)) + xmp if xmp else b""
    return {"exif": exif, "extra": extra, "comment": comment} | ({"dpi": image.dpi} if image.dpi else {})


def webp_options(path: PurePath, image: ImageFile) -> dict[str, Any]:
    """Return options of Pillow's WebP writer for all metadata except the color profile.

    The resolution is stored in the EXIF data.
    """
    _warn_of_lost_texts(path, image.texts.keys(), "WebP")
    exif = Image.Exif()
    exif.load(image.exif or b"")
    if image.dpi is not None and not any(tag in exif for tag in _RESOLUTION_TAGS):
        exif.update({**dict(zip(_RESOLUTION_TAGS, image.dpi, strict=True)), _RESOLUTION_UNIT_TAG: _INCH})
        return {"exif": exif.tobytes(), "xmp": image.xmp or b""}
    return {"exif": image.exif or b"", "xmp": image.xmp or b""}


def _warn_of_lost_texts(path: PurePath, keywords: Iterable[str], kind: str) -> None:
    if lost := ", ".join(sorted(keywords)):
        _warn_of_loss(path, f"its texts ({lost}), which {kind} cannot store")


def _warn_of_loss(path: PurePath, what: str) -> None:
    _log.warning("%s loses %s; use .png to keep all metadata", path, what)


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")
