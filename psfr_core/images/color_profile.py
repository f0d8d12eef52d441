"""Color profiles: which ones fit the pixels, and CMYK through its own."""

from __future__ import annotations

import logging
from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageCms

_COLOR_SPACE = slice(16, 20)  # its place in the header of a profile

_log = logging.getLogger(__name__)


def fitting_profile(profile: object, channels: int) -> bytes | None:
    """Return ``profile`` if it describes pixels of ``channels`` channels (grey below 3, RGB from there), else None."""
    color_space = b"GRAY" if channels <= 2 else b"RGB "
    return profile if isinstance(profile, bytes) and profile[_COLOR_SPACE] == color_space else None


def cmyk_to_srgb(path: Path, image: Image.Image, profile: object) -> tuple[Image.Image, bytes | None]:
    """Return the CMYK ``image`` of the file ``path`` as sRGB, through its ``profile``, and the profile of the result.

    Without a profile that can be used the colors are an approximation without a profile, which is logged.
    """
    if isinstance(profile, bytes) and profile[_COLOR_SPACE] == b"CMYK":
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            target = ImageCms.ImageCmsProfile(BytesIO(srgb_profile()))
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError) as error:
            _log.warning("%s has a damaged color profile (%s), its CMYK colors are converted without one", path, error)
        else:
            if converted is not None:
                return converted, srgb_profile()
    else:
        _log.warning("%s has CMYK colors without a profile, their conversion to RGB is an approximation", path)
    return image.convert("RGB"), None


@cache
def srgb_profile() -> bytes:
    """Return an ICC profile of the sRGB color space."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
