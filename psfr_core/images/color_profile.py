"""Match ICC color profiles to pixels, and convert CMYK to sRGB."""

from __future__ import annotations

import logging
from functools import cache
from io import BytesIO
from pathlib import PurePath

from PIL import Image, ImageCms

_COLOR_SPACE = slice(16, 20)  # position in the header of an ICC profile

_log = logging.getLogger(__name__)


def fitting_profile(path: PurePath, profile: object, channels: int) -> bytes | None:
    """Return ``profile`` if it describes pixels with ``channels`` channels (1 or 2: gray, 3 or 4: RGB).

    Otherwise, return None, and log a warning that names ``path`` if there is a profile.
    """
    if not isinstance(profile, bytes):
        return None
    color_space = b"GRAY" if channels <= 2 else b"RGB "
    if profile[_COLOR_SPACE] == color_space:
        return profile
    found, pixels = (name.decode("ascii", "replace").strip() for name in (profile[_COLOR_SPACE], color_space))
    _log.warning("%s: its color profile is for %s, but its pixels are %s; the profile is lost", path, found, pixels)
    return None


def cmyk_to_srgb(path: PurePath, image: Image.Image, profile: object) -> tuple[Image.Image, bytes | None]:
    """Convert the CMYK ``image`` from its color ``profile`` to sRGB, and return the result with the sRGB profile.

    Without a usable profile, the conversion is approximate, a warning that names ``path`` is logged, and the returned profile is
    None.
    """
    if isinstance(profile, bytes) and profile[_COLOR_SPACE] == b"CMYK":
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            target = ImageCms.ImageCmsProfile(BytesIO(srgb_profile()))
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError) as error:
            _log.warning(
                "%s has a damaged color profile (%s); its CMYK colors are converted without the profile", path, error
            )
        else:
            if converted is not None:
                return converted, srgb_profile()
    else:
        _log.warning("%s has CMYK colors but no color profile; their conversion to RGB is approximate", path)
    return image.convert("RGB"), None


@cache
def srgb_profile() -> bytes:
    """Return the ICC profile of the sRGB color space."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
