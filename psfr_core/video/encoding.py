"""Choose the encoder, the quality and the pixel format of a restored video."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OptionError
from ..images.box import Size
from ..options import check_options, option
from .pixel_formats import twins_of
from .read_video import load_av
from .video_formats import WRITABLE_VIDEO_SUFFIXES, muxer_of

if TYPE_CHECKING:
    from av.codec import Codec

_log = logging.getLogger(__name__)

# Constant rate factors without visible loss.
_QUALITY = {
    "libx264": 17,
    "libx264rgb": 17,
    "libx265": 19,
    "libvpx-vp9": 18,
    "libsvtav1": 20,
    "libaom-av1": 18,
}
_OPTIONS = {
    "libx265": {"x265-params": "log-level=warning"},
    "libvpx-vp9": {"b": "0", "row-mt": "1", "cpu-used": "2"},
    "libaom-av1": {"cpu-used": "5"},
}
_LOSSLESS_OPTIONS = {
    "libx264": {"qp": "0"},
    "libx264rgb": {"qp": "0"},
    "libx265": {"x265-params": "lossless=1:log-level=warning"},
    "libvpx-vp9": {"lossless": "1", "row-mt": "1", "cpu-used": "2"},
    "ffv1": {},
    "ffvhuff": {},
    "utvideo": {},
    "png": {},
    "qtrle": {},
}
# Lowest and highest constant rate factor, if they are not 0 and 63. With libsvtav1, 0 stands for the default.
_QUALITY_LIMITS = {"libx264": (0, 51), "libx264rgb": (0, 51), "libx265": (0, 51), "libsvtav1": (1, 63)}
# Pixel formats that an encoder offers but rejects when it is opened.
_UNUSABLE_FORMATS = {"libvpx-vp9": ("yuva422p", "yuva444p", "gbrap")}
_ALWAYS_LOSSLESS = ("ffv1", "ffvhuff", "utvideo", "png", "qtrle")
_EVEN_SIDES = ("libx264", "libx265", "libsvtav1")  # encoders that need even sides for subsampled chroma


@dataclass(frozen=True)
class EncodingOptions:
    """Options for the encoding of a restored video."""

    codec: str | None = option(
        None,
        "FFmpeg's name of the encoder; none: libvpx-vp9 for .webm, ffv1 for lossless .mkv, libx264rgb for other lossless RGB "
        "videos, otherwise libx264",
    )
    quality: int | None = option(
        None,
        "constant rate factor, 0 to 63; lower values give higher quality; none: no visible loss, 17 for libx264",
        low=0,
        high=63,
    )
    lossless: bool = option(False, "encode without loss: all pixels outside the faces stay bit-identical")
    pixel_format: str | None = option(
        None, "FFmpeg's name of the pixel format; none: that of the input, or the closest one that the encoder supports"
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.lossless and self.quality is not None:
            raise OptionError("quality has no effect on a lossless video. Set only one of quality and lossless.")


@dataclass(frozen=True)
class Encoding:
    """An encoder and its settings, by FFmpeg's names."""

    codec: str
    pixel_format: str
    options: dict[str, str]


def check_target(path: Path) -> str:
    """Return FFmpeg's muxer for the suffix of ``path``. Raise OptionError if no video with this suffix can be written."""
    muxer = muxer_of(path)
    if muxer is None:
        raise OptionError(
            f"{path}: videos are written as {', '.join(WRITABLE_VIDEO_SUFFIXES)}. Choose one of these suffixes."
        )
    return muxer


def choose_encoding(options: EncodingOptions, muxer: str, planar_format: str, size: Size) -> Encoding:
    """Return the encoder and its settings for frames of ``planar_format`` and ``size`` in the container ``muxer``.

    ``muxer`` and ``planar_format`` are FFmpeg's names. Unless the options name a pixel format, the video has the format of the
    frames, or one that holds the same values. If the encoder supports neither, the format that loses least is chosen, and a
    warning is logged. Raises OptionError for an unknown encoder, and for a size, pixel format, quality or lossless mode that the
    encoder does not support.
    """
    codec = _encoder(options, muxer, planar_format)
    pixel_format = _pixel_format(codec, options, planar_format, size)
    return Encoding(codec.name, pixel_format, _codec_options(codec.name, options))


def check_encoder(encoding: Encoding, size: Size, rate: Fraction, time_base: Fraction) -> None:
    """Raise OptionError if the encoder cannot be opened for frames of ``size``, at ``rate`` frames per second.

    ``time_base`` is the unit of the timestamps in seconds.
    """
    av = load_av()
    context = av.CodecContext.create(encoding.codec, "w")
    context.width, context.height, context.pix_fmt = size.width, size.height, encoding.pixel_format
    context.framerate, context.time_base, context.options = rate, time_base, dict(encoding.options)
    try:
        context.open()
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise OptionError(
            f"{encoding.codec} cannot encode {size.width} x {size.height} pixels of {encoding.pixel_format} at {float(rate):g} "
            f"frames per second ({error}). Use another codec, pixel format or container."
        ) from error


def _encoder(options: EncodingOptions, muxer: str, planar_format: str) -> Codec:
    av = load_av()
    name = options.codec or _default_codec(muxer, options.lossless, is_rgb=planar_format.startswith("gb"))
    try:
        codec = av.codec.Codec(name, "w")
    except (av.error.FFmpegError, ValueError) as error:
        raise OptionError(
            f"There is no encoder '{name}' in this PyAV. Use for example {', '.join(_available())}; "
            "'python -m av --codecs' lists all."
        ) from error
    if codec.type != "video":
        raise OptionError(f"'{name}' encodes {codec.type}, not video. Use for example {', '.join(_available())}.")
    return codec


def _default_codec(muxer: str, lossless: bool, is_rgb: bool) -> str:
    if muxer == "webm":
        return "libvpx-vp9"
    if lossless and muxer == "matroska":
        return "ffv1"
    return "libx264rgb" if is_rgb and lossless else "libx264"


def _available() -> list[str]:
    known = load_av().codec.codecs_available
    return [name for name in ("libx264", "libx265", "libvpx-vp9", "libsvtav1", "ffv1", "prores_ks") if name in known]


def _codec_options(name: str, options: EncodingOptions) -> dict[str, str]:
    if options.lossless:
        if name not in _LOSSLESS_OPTIONS:
            raise OptionError(f"{name} is not known to be lossless. Use one of {', '.join(_LOSSLESS_OPTIONS)}.")
        return _LOSSLESS_OPTIONS[name]
    if options.quality is None:
        quality = _QUALITY.get(name)
    elif name in _QUALITY:
        quality = options.quality
        low, high = _QUALITY_LIMITS.get(name, (0, 63))
        if not low <= quality <= high:
            raise OptionError(f"quality must be from {low} to {high} for {name}, got {quality}.")
    else:
        raise OptionError(f"quality is not supported for {name}. Omit it, or use one of {', '.join(_QUALITY)}.")
    if quality is None and name not in _ALWAYS_LOSSLESS and not name.startswith("prores"):
        _log.warning("No quality can be set for %s: FFmpeg's default applies, which may be low.", name)
    return {**_OPTIONS.get(name, {}), **({} if quality is None else {"crf": str(quality)})}


def _pixel_format(codec: Codec, options: EncodingOptions, planar_format: str, size: Size) -> str:
    unusable = _UNUSABLE_FORMATS.get(codec.name, ())
    offered = [known.name for known in codec.video_formats or [] if known.name not in unusable]
    if options.pixel_format is not None:
        if offered and options.pixel_format not in offered:
            raise OptionError(f"{codec.name} does not encode {options.pixel_format}. It offers {', '.join(offered)}.")
        return options.pixel_format
    if not offered:
        return planar_format
    needs_even = codec.name in _EVEN_SIDES and (size.width % 2 or size.height % 2)
    usable = [name for name in offered if not (needs_even and _is_subsampled(name))]
    exact = next((twin for twin in twins_of(planar_format) if twin in usable), None)
    if exact is not None:
        return exact
    av = load_av()
    has_alpha = "a" in planar_format.removeprefix("gray")
    best, _ = av.codec.codec.find_best_pix_fmt_of_list(usable, planar_format, has_alpha)
    if best is None:
        raise OptionError(
            f"{codec.name} cannot encode frames of {size.width} x {size.height} pixels. Use another codec, such as ffv1."
        )
    chosen = best.name if hasattr(best, "name") else str(best)
    is_same_depth = twins_of(planar_format)[0].replace("420", "444").replace("422", "444") == chosen
    if options.lossless and not is_same_depth:
        raise OptionError(
            f"{codec.name} cannot encode {planar_format} without loss, only {', '.join(offered)}. Use another codec, such as ffv1."
        )
    lost = " and transparency is lost" if has_alpha and "a" not in chosen.removeprefix("gray") else ""
    odd = f" at the odd size {size.width} x {size.height}" if needs_even and len(usable) < len(offered) else ""
    _log.warning("%s does not encode %s%s: the video is stored as %s%s.", codec.name, planar_format, odd, chosen, lost)
    return chosen


def _is_subsampled(pixel_format: str) -> bool:
    return any(part in pixel_format for part in ("420", "422", "440", "411", "410", "nv12", "nv16", "nv2"))
