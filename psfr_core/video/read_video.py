"""Read video files frame by frame."""

from __future__ import annotations

import logging
import math
import struct
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingPackageError, VideoFileError
from ..images.box import Size
from ..optional_package import import_optional
from .pixel_formats import to_planar
from .video_formats import DEMUXERS

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

_MIN_AV = 18  # the first version of PyAV with set_display_matrix and make_writable
_DEFAULT_RATE = Fraction(25)  # frames per second of a file that does not state its rate
_NAMED_DAMAGES = 5  # maximum number of damaged parts that are named; the others are only counted

_log = logging.getLogger(__name__)


def load_av() -> Any:
    """Import PyAV; raise MissingPackageError if that fails or the version is too old."""
    av = import_optional("av", "Reading and writing videos", f'"av>={_MIN_AV}"')
    if int(av.__version__.split(".")[0]) < _MIN_AV:
        raise MissingPackageError(
            f"Reading and writing videos needs PyAV {_MIN_AV} or newer, but version {av.__version__} is installed. "
            f'Update it: pip install "av>={_MIN_AV}"'
        )
    return av


@dataclass
class Damage:
    """The times in seconds of the parts of a video that could not be decoded. None stands for an unknown time."""

    times: list[float | None] = field(default_factory=list[float | None])

    def describe(self) -> str:
        """Return a description of the damaged parts, or an empty text if there are none."""
        if not self.times:
            return ""
        named = ["at an unknown time" if time is None else f"near {time:.2f} s" for time in self.times[:_NAMED_DAMAGES]]
        more = [f"{len(self.times) - len(named)} more"] if len(self.times) > len(named) else []
        count = len(self.times)
        return f"{count} damaged {'part' if count == 1 else 'parts'} ({', '.join([*named, *more])})"


@dataclass(frozen=True, eq=False)
class FrameSample:
    """A frame of a video in a planar format, and how players show it.

    ``quarters`` is the number of counterclockwise quarter turns that make the frame upright. If ``is_mirrored`` is true, players
    then also mirror it from left to right. ``display_matrix`` is FFmpeg's matrix of 9 numbers, or None if the frame has none.
    """

    frame: av.VideoFrame
    quarters: int
    is_mirrored: bool
    display_matrix: tuple[int, ...] | None
    is_interlaced: bool

    @classmethod
    def of(cls, frame: av.VideoFrame) -> FrameSample:
        """Return the sample for a decoded frame. Raise VideoFileError if ``to_planar`` does not support its format."""
        data = frame.side_data.get("DISPLAYMATRIX")
        matrix = None if data is None else struct.unpack("=9i", bytes(data)[:36])
        quarters, is_mirrored = (0, False) if matrix is None else _orientation(matrix)
        return cls(to_planar(frame), quarters, is_mirrored, matrix, bool(frame.interlaced_frame))


def _orientation(matrix: Sequence[int]) -> tuple[int, bool]:
    """Return the counterclockwise quarter turns of a display matrix, and whether it then mirrors from left to right."""
    x_from_x, y_from_x, _, x_from_y, y_from_y = matrix[:5]  # maps (x, y) in the frame to (x', y') on the screen
    is_mirrored = x_from_x * y_from_y < x_from_y * y_from_x
    degrees = -math.degrees(math.atan2(y_from_x, -x_from_x if is_mirrored else x_from_x))
    return round(degrees / 90) % 4, is_mirrored


class VideoReader:
    """An open video file, which ``open_video`` yields. Its frames can be decoded once, in display order.

    ``sample`` describes the first frame, and is None until it is decoded. ``damage`` contains the damaged parts found so far.
    """

    def __init__(self, path: Path, container: InputContainer, stream: VideoStream) -> None:
        self.path = path
        self.container = container
        self.stream = stream
        self.damage = Damage()
        self.sample: FrameSample | None = None
        self._av = load_av()
        self._last_pts: int | None = None

    @property
    def rate(self) -> Fraction:
        """Average number of frames per second."""
        return self.stream.average_rate or self.stream.guessed_rate or _DEFAULT_RATE

    @property
    def time_base(self) -> Fraction:
        """Unit of timestamps in seconds."""
        return self.stream.time_base or 1 / self.rate

    @property
    def estimated_frames(self) -> int:
        """Number of frames that the file states, or that its duration implies; 0 if both are unknown."""
        if self.stream.frames:
            return self.stream.frames
        if self.stream.duration:
            return round(self.stream.duration * self.time_base * self.rate)
        return round(self.container.duration / 1_000_000 * self.rate) if self.container.duration else 0

    @property
    def other_streams(self) -> list[Stream]:
        """All streams except the video stream, such as sound and subtitles."""
        return [stream for stream in self.container.streams if stream is not self.stream]

    def frames(
        self, copied: Sequence[Stream] = (), on_packet: Callable[[av.Packet[Any]], None] | None = None
    ) -> Generator[av.VideoFrame]:
        """Yield the frames in planar pixel formats with increasing timestamps.

        ``on_packet`` is called with each packet of the ``copied`` streams, in the order of the file. Raises VideoFileError if the
        size of the frames changes, or if ``to_planar`` does not support their format.
        """
        size: Size | None = None
        for packet in self._packets([self.stream, *copied]):
            if packet.stream is not self.stream:
                if on_packet is not None and packet.dts is not None:
                    on_packet(packet)
                continue
            for frame in self._frames_of(packet):
                size = self._checked_size(frame, size)
                if self.sample is None:
                    self.sample = FrameSample.of(frame)
                yield self._timed(to_planar(frame))

    def copies(self, streams: Sequence[Stream]) -> Iterator[av.Packet[Any]]:
        """Yield the packets of ``streams``, in the order of the file. Frames are not decoded."""
        if streams:
            yield from (packet for packet in self._packets(list(streams)) if packet.size)

    def seek(self, timestamp: int) -> bool:
        """Continue at a key frame at or before ``timestamp``. Return False if this fails."""
        try:
            self.container.seek(timestamp, stream=self.stream)
        except (self._av.error.FFmpegError, OSError) as error:
            _log.debug("%s: %s", self.path, error)
            return False
        return True

    def _checked_size(self, frame: av.VideoFrame, before: Size | None) -> Size:
        size = Size(frame.width, frame.height)
        if before is not None and size != before:
            raise VideoFileError(
                f"{self.path}: the frames change from {before.width} x {before.height} to {size.width} x {size.height} pixels. "
                "Cut the video there, and restore the parts one by one."
            )
        return size

    def _packets(self, streams: list[Any]) -> Iterator[av.Packet[Any]]:
        """Yield the packets of ``streams``. If the rest of the file cannot be read, note this as damage and end."""
        packets = self.container.demux(streams)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, self._av.error.EOFError):
                return
            except self._av.error.FFmpegError as error:
                _log.debug("%s: %s", self.path, error)
                self._note_damage(None)
                yield from self._flush()
                return
            yield packet

    def _flush(self) -> Iterator[av.Packet[Any]]:
        """Yield an empty packet, which makes the decoder return the frames that it holds back."""
        packet = self._av.Packet()
        packet.stream = self.stream
        yield packet

    def _frames_of(self, packet: av.Packet[Any]) -> list[av.VideoFrame]:
        try:
            frames = self.stream.decode(packet if packet.size else None)
        except self._av.error.EOFError:
            return []
        except self._av.error.FFmpegError as error:
            _log.debug("%s: %s", self.path, error)
            self._note_damage(None if packet.pts is None else float(packet.pts * self.time_base))
            return []
        for frame in frames:
            if frame.is_corrupt:
                self._note_damage(frame.time)
        return frames

    def _note_damage(self, time: float | None) -> None:
        if time is None or time not in self.damage.times:
            self.damage.times.append(time)

    def _timed(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return ``frame``, with a new timestamp if its own is missing or not later than that of the previous frame."""
        if self._last_pts is not None and (frame.pts is None or frame.pts <= self._last_pts):
            frame.pts = self._last_pts + max(round(1 / (self.rate * self.time_base)), 1)
        elif frame.pts is None:
            frame.pts = 0
        frame.time_base = self.time_base
        self._last_pts = frame.pts
        return frame


@contextmanager
def open_video(path: str | Path) -> Generator[VideoReader]:
    """Open a video file for reading, and close it at the end of the block.

    Raises VideoFileError for files that cannot be opened or have no video stream, and MissingPackageError if PyAV is not installed.
    """
    av = load_av()
    path = Path(path)
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist or is not a regular file"
        raise VideoFileError(f"{path} {found}. Name a video file.")
    options = {"format_whitelist": DEMUXERS, "protocol_whitelist": "file"}
    try:
        container = av.open(f"file:{path}", options=options, metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoFileError(f"{path} cannot be opened as a video: {_reason(error)}. {_WHAT_TO_DO}") from error
    with container:
        yield VideoReader(path, container, _main_stream(path, container))


def read_sample(path: Path) -> FrameSample:
    """Return the first frame of a video. Raise VideoFileError if none can be decoded, and the errors of ``open_video``."""
    with open_video(path) as reader, closing(reader.frames()) as frames:
        next(frames, None)
        if reader.sample is None:
            raise VideoFileError(f"{path} has no frame that can be decoded.")
        return reader.sample


_WHAT_TO_DO = "Check that it is a complete video file; a file whose recording was cut off must be repaired first."


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _main_stream(path: Path, container: InputContainer) -> VideoStream:
    av = load_av()
    cover = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams})
        raise VideoFileError(f"{path} has no video stream, only {' and '.join(kinds) or 'nothing'}. Name a video file.")
    stream: Any = streams[0]
    if stream.codec_context is None:
        raise VideoFileError(
            f"{path}: the codec of the video is not known to PyAV. Convert the video with ffmpeg first."
        )
    stream.thread_type = "AUTO"
    return stream
