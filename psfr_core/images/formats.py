"""Determine from the suffix of an image file whether it is readable, readable with a Pillow plug-in, or unreadable."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath

from PIL import Image

# Suffixes by Pillow's format names. Formats that do not store photos are omitted, so that hostile files reach fewer decoders.
_SUFFIXES_OF_FORMAT = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif", ".avifs"),
    "JPEG2000": (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "TGA": (".tga", ".icb", ".vda", ".vst"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "PCX": (".pcx",),
    "PSD": (".psd",),
    "QOI": (".qoi",),
}

READABLE_SUFFIXES = frozenset(suffix for suffixes in _SUFFIXES_OF_FORMAT.values() for suffix in suffixes)
"""Suffixes of image files that can be read without a plug-in."""

FORMAT_LIST = ", ".join(_SUFFIXES_OF_FORMAT)

LOSSLESS_SUFFIXES = (".png", ".webp")
WRITABLE_SUFFIXES = (*LOSSLESS_SUFFIXES, ".jpg", ".jpeg")

_RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf"}
    | {".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
)
_OTHER_SUFFIXES = frozenset(
    {".ai", ".bpg", ".cur", ".dds", ".djvu", ".emf", ".eps", ".exr", ".fit", ".fits", ".hdr", ".icns", ".ico", ".jls"}
    | {
        ".jxr",
        ".kra",
        ".pam",
        ".pdf",
        ".pfm",
        ".psb",
        ".ras",
        ".rgb",
        ".sgi",
        ".svg",
        ".wdp",
        ".wmf",
        ".xbm",
        ".xcf",
        ".xpm",
    }
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _PlugIn:
    """A format that Pillow reads after importing one of ``modules`` from the pip ``package``."""

    name: str
    suffixes: tuple[str, ...]
    modules: tuple[str, ...]
    package: str

    @property
    def is_installed(self) -> bool:
        return any(importlib.util.find_spec(module.partition(".")[0]) for module in self.modules)


_PLUG_INS = (
    _PlugIn("HEIF", (".heic", ".heics", ".heif", ".heifs", ".hif"), ("pillow_heif.HeifImagePlugin",), "pillow-heif"),
    _PlugIn("JXL", (".jxl",), ("pillow_jxl", "jxlpy.JXLImagePlugin"), "pillow-jxl-plugin"),
)
_PLUG_IN_OF_SUFFIX = {suffix: plug_in for plug_in in _PLUG_INS for suffix in plug_in.suffixes}


def is_readable(path: PurePath) -> bool:
    """Return whether image files with the suffix of ``path`` can be read, with installed plug-ins if necessary."""
    suffix = path.suffix.lower()
    plug_in = _PLUG_IN_OF_SUFFIX.get(suffix)
    return suffix in READABLE_SUFFIXES or (plug_in is not None and plug_in.is_installed)


def unreadable_reason(path: PurePath) -> str | None:
    """Return a message that explains why image files with the suffix of ``path`` cannot be read, and what to do.

    Returns None for readable suffixes and for files that are not images.
    """
    suffix = path.suffix.lower()
    if is_readable(path):
        return None
    if plug_in := _PLUG_IN_OF_SUFFIX.get(suffix):
        return f"{suffix} files need the package {plug_in.package}: pip install {plug_in.package}."
    if suffix in _RAW_SUFFIXES:
        return f"{suffix} files contain raw camera data, which cannot be read. Export the photo as TIFF, PNG or JPEG."
    if suffix in _OTHER_SUFFIXES:
        return f"{suffix} files cannot be read. Export them as PNG or JPEG."
    return None


def built_in_formats() -> tuple[str, ...]:
    """Return Pillow's names of the formats that are readable without a plug-in."""
    Image.init()
    return tuple(name for name in _SUFFIXES_OF_FORMAT if name in Image.OPEN)


@cache
def plug_in_formats() -> tuple[str, ...]:
    """Import the installed Pillow plug-ins and return the names of their formats."""
    for plug_in in _PLUG_INS:
        if plug_in.name not in Image.OPEN:
            _import_first(plug_in.modules)
    return tuple(plug_in.name for plug_in in _PLUG_INS if plug_in.name in Image.OPEN)


def _import_first(modules: tuple[str, ...]) -> None:
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:  # a plug-in built for another version of Pillow can raise anything
            _log.debug("%s cannot be imported: %s", module, error)
        else:
            return
