"""The video formats that can be read and written: file suffixes, and FFmpeg's muxers and demuxers."""

from __future__ import annotations

from pathlib import Path

# Keys are FFmpeg's names of muxers.
_SUFFIXES_OF_MUXER = {"mp4": (".mp4", ".m4v"), "mov": (".mov",), "matroska": (".mkv",), "webm": (".webm",)}
_MUXER_OF_SUFFIX = {suffix: muxer for muxer, suffixes in _SUFFIXES_OF_MUXER.items() for suffix in suffixes}

WRITABLE_VIDEO_SUFFIXES = tuple(_MUXER_OF_SUFFIX)
READABLE_VIDEO_SUFFIXES = frozenset(
    {*WRITABLE_VIDEO_SUFFIXES, ".avi", ".mpg", ".mpeg", ".vob", ".ts", ".m2ts", ".mts", ".wmv", ".asf", ".flv"}
    | {".3gp", ".ogv", ".mxf", ".mjpeg", ".ivf", ".y4m", ".nut"}
)

# Demuxers of single files. Playlists, which name other files and addresses, are not among them.
DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg,mxf,mjpeg,ivf,yuv4mpegpipe,nut,"
    "h264,hevc,m4v"
)


def is_video(path: str | Path) -> bool:
    """Return whether ``path`` has the suffix of a video file."""
    return Path(path).suffix.lower() in READABLE_VIDEO_SUFFIXES


def muxer_of(path: Path) -> str | None:
    """Return FFmpeg's muxer for the suffix of ``path``, or None if no video with this suffix can be written."""
    return _MUXER_OF_SUFFIX.get(path.suffix.lower())
