"""Convert between decoded frames and images."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from ..errors import OptionError
from ..images.box import PixelBox, Size
from ..images.channels import clamped
from ..images.image_file import ImageFile
from .encoding import Encoding, EncodingOptions, check_encoder, check_target, choose_encoding
from .frame_planes import FramePlanes
from .orientation import turn_upright
from .pixel_formats import BT709_MATRIX, FULL, LIMITED, RGB_MATRIX, plane_arrays
from .read_video import load_av

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

    import av

_NUMBER = re.compile(r"%(?:0\d\d?)?d")
_BT709_PRIMARIES, _SRGB_CURVE = 1, 13  # FFmpeg's numbers


def frame_to_image(frame: av.VideoFrame, quarters: int = 0, *, is_mirrored: bool = False) -> ImageFile:
    """Return a planar frame as an upright image of 8 bits, or of 16 if the frame has more; gray and alpha are kept.

    ``quarters`` counterclockwise quarter turns make the frame upright. If ``is_mirrored`` is true, it is then mirrored.
    """
    planes = FramePlanes.of(frame)
    pixels = planes.read(PixelBox(0, 0, planes.size.width, planes.size.height))
    upright = turn_upright(clamped(pixels), quarters)
    return ImageFile(upright.flip(-1) if is_mirrored else upright, 8 if planes.bits <= 8 else 16)


def image_to_frame(image: ImageFile) -> av.VideoFrame:
    """Return an image as a planar RGB frame with the same bit depth, and with alpha if the image has it."""
    pixels, depth = image.pixels, image.bit_depth
    colors = pixels[:3] if len(pixels) > 2 else pixels[:1].expand(3, -1, -1)
    channels = [*colors, *(pixels[-1:] if image.has_alpha else [])]
    name = ("gbrap" if image.has_alpha else "gbrp") + ("16le" if depth == 16 else "")
    frame: av.VideoFrame = load_av().VideoFrame(pixels.shape[-1], pixels.shape[-2], name)
    for plane, channel in zip(plane_arrays(frame), channels, strict=True):
        np.copyto(plane, (channel.float().clamp(0, 1) * (2**depth - 1)).round().numpy(), casting="unsafe")
    return frame


def choose_encoding_of_images(image: ImageFile, target: Path, options: EncodingOptions, rate: Fraction) -> Encoding:
    """Return the encoder for images like ``image`` at ``rate`` frames per second; see ``choose_encoding``.

    The default pixel format of lossy videos is yuv420p, or yuva420p for images with alpha. If the encoder does not support it, the
    closest format is chosen. Raises OptionError as ``check_target``, ``choose_encoding`` and ``check_encoder`` do.
    """
    frame = image_to_frame(image)
    lossy = "yuva420p" if image.has_alpha else "yuv420p"
    name = frame.format.name if options.lossless else lossy
    encoding = choose_encoding(options, check_target(target), name, Size(frame.width, frame.height))
    check_encoder(encoding, Size(frame.width, frame.height), rate, 1 / rate)
    return encoding


def video_frame(image: ImageFile, encoding: Encoding) -> av.VideoFrame:
    """Return ``image`` as an RGB frame with the color tags of a video with ``encoding``.

    Primaries and transfer curve are tagged as sRGB. Matrix and range are tagged as in the encoded video, although the samples are
    full-range RGB.
    """
    frame = image_to_frame(image)
    frame.color_primaries, frame.color_trc = _BT709_PRIMARIES, _SRGB_CURVE
    is_rgb = load_av().VideoFormat(encoding.pixel_format).is_rgb
    frame.colorspace, frame.color_range = (RGB_MATRIX, FULL) if is_rgb else (BT709_MATRIX, LIMITED)
    return frame


def is_numbered(path: Path) -> bool:
    """Return whether the name of ``path`` has a placeholder for a number, as in ``%06d.png``."""
    return bool(_NUMBER.search(path.name))


def numbered_path(pattern: Path, number: int) -> Path:
    """Return ``pattern`` with ``number`` in place of its placeholder, such as ``%06d``.

    Raises OptionError unless the name of ``pattern`` has exactly one placeholder.
    """
    places = _NUMBER.findall(pattern.name)
    if len(places) != 1:
        raise OptionError(
            f"{pattern}: images of a video need a name with one placeholder for a number, such as %06d.png."
        )
    return pattern.with_name(pattern.name.replace(places[0], places[0] % number))
