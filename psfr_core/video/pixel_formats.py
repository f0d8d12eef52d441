"""Convert frames to planar pixel formats, whose planes can be read and written as arrays without loss."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import VideoFileError

if TYPE_CHECKING:
    from av import VideoFrame

_PLANAR = re.compile(r"(yuva?4\d\dp|gbra?p|gray)(9|1[0246])?(le)?")
_FULL_RANGE = re.compile(r"yuvj(4\d\dp)")
UNSPECIFIED, LIMITED, FULL = 0, 1, 2  # FFmpeg's numbers for the color ranges
RGB_MATRIX, BT709_MATRIX = 0, 1  # FFmpeg's numbers for the matrices from RGB to the stored samples

# For each supported format that is not planar, the planar format that holds exactly the same values.
_PLANAR_TWINS = {
    **dict.fromkeys(("nv12", "nv21"), "yuv420p"),
    **dict.fromkeys(("nv16", "yuyv422", "uyvy422", "yvyu422"), "yuv422p"),
    **dict.fromkeys(("nv24", "nv42"), "yuv444p"),
    **dict.fromkeys(("p010le", "p010be"), "yuv420p10le"),
    **dict.fromkeys(("p012le", "p012be"), "yuv420p12le"),
    **dict.fromkeys(("p016le", "p016be"), "yuv420p16le"),
    **dict.fromkeys(("p210le", "p210be"), "yuv422p10le"),
    **dict.fromkeys(("rgb24", "bgr24", "rgb0", "bgr0", "0rgb", "0bgr", "rgb555le", "rgb565le", "rgb8"), "gbrp"),
    **dict.fromkeys(("rgba", "bgra", "argb", "abgr", "pal8", "ya8"), "gbrap"),
    **dict.fromkeys(("rgb48le", "rgb48be"), "gbrp16le"),
    **dict.fromkeys(("rgba64le", "rgba64be", "ya16le"), "gbrap16le"),
    **dict.fromkeys(("x2rgb10le", "x2bgr10le"), "gbrp10le"),
    **dict.fromkeys(("monob", "monow"), "gray"),
}
# For each planar format, the packed formats that hold the same values. Some encoders support only these.
_PACKED_TWINS = {
    "gbrp": ("bgr0", "rgb24", "bgr24"),
    "gbrap": ("bgra", "rgba"),
    "gbrp16le": ("rgb48le",),
    "gbrap16le": ("rgba64le",),
}


def color_range_of(frame: VideoFrame) -> int:
    """Return FULL or LIMITED. Untagged gray has the full range, as in images, and other untagged frames the limited one."""
    if frame.color_range == UNSPECIFIED:
        return FULL if frame.format.name.startswith("gray") else LIMITED
    return FULL if frame.color_range == FULL else LIMITED


def to_planar(frame: VideoFrame) -> VideoFrame:
    """Return ``frame`` in a planar format with the same values, or ``frame`` itself if it needs no conversion.

    Raises VideoFileError for formats without an equivalent planar format.
    """
    name = frame.format.name
    if is_full := _FULL_RANGE.fullmatch(name):
        return _retagged(frame, f"yuv{is_full[1]}")
    if _PLANAR.fullmatch(name) and all(plane.line_size > 0 for plane in frame.planes):
        return frame
    twin = _PLANAR_TWINS.get(name, name.removesuffix("be") + "le" if name.endswith("be") else name)
    if not _PLANAR.fullmatch(twin):
        raise VideoFileError(
            f"The pixel format {name} is not supported. Convert the video first, for example: "
            "ffmpeg -i IN -pix_fmt yuv420p -c:a copy OUT.mkv"
        )
    return _with_properties(frame.reformat(format=twin), frame)


def twins_of(planar: str) -> tuple[str, ...]:
    """Return the names of the pixel formats that hold the same values as the planar format ``planar``, itself first."""
    return planar, *_PACKED_TWINS.get(planar, ())


def plane_arrays(frame: VideoFrame) -> list[NDArray[Any]]:
    """Return the planes of a planar frame as arrays (H, W), uint8 or uint16, in the order of its components.

    They share the memory of the frame, and can be written to if the frame is writable.
    """
    dtype = np.dtype(np.uint8 if frame.format.components[0].bits <= 8 else np.dtype("<u2"))
    planes = [_samples(plane, dtype) for plane in frame.planes]
    return [planes[component.plane] for component in frame.format.components]


def _samples(plane: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a view (H, W) of a plane; PyAV does not declare that planes are buffers."""
    rows = np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype.itemsize)
    return rows[: plane.height, : plane.width]


def _retagged(frame: VideoFrame, name: str) -> VideoFrame:
    """Return a copy of ``frame`` in the format ``name``, which has the same planes, tagged as full range."""
    copy = type(frame)(frame.width, frame.height, name)
    for old, new in zip(frame.planes, copy.planes, strict=True):
        np.copyto(_samples(new, np.dtype(np.uint8)), _samples(old, np.dtype(np.uint8)))
    copy = _with_properties(copy, frame)
    copy.color_range = FULL
    return copy


def _with_properties(copy: VideoFrame, frame: VideoFrame) -> VideoFrame:
    copy.pts, copy.duration = frame.pts, frame.duration
    if frame.time_base is not None:
        copy.time_base = frame.time_base
    copy.colorspace, copy.color_range = frame.colorspace, frame.color_range
    copy.color_primaries, copy.color_trc = frame.color_primaries, frame.color_trc
    return copy
