"""Write restored frames and the copied sound and subtitles to a video file."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import VideoFileError
from ..files import atomic_path
from ..images.box import Size
from .encoding import EncodingOptions, check_target, choose_encoding
from .pixel_formats import FULL
from .read_video import FrameSample, VideoReader, load_av

if TYPE_CHECKING:
    import av
    from av.container import OutputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

_INDEX_FIRST = {"movflags": "+faststart"}  # lets browsers play the file while it downloads
_MUXER_OPTIONS = {"mp4": _INDEX_FIRST, "mov": _INDEX_FIRST}
_INTERLACED_FLAGS = {"libx264": "+ildct+ilme", "mpeg2video": "+ildct+ilme"}

_log = logging.getLogger(__name__)


class VideoWriter:
    """An open video file to write; ``open_writer`` returns it."""

    def __init__(self, container: OutputContainer, stream: VideoStream, copies: dict[int, Stream]) -> None:
        self._container = container
        self._stream = stream
        self._copies = copies

    def write(self, frame: av.VideoFrame) -> None:
        """Encode the next frame."""
        before = frame
        if frame.format.name != self._stream.pix_fmt:
            matrix = frame.colorspace
            color_range = FULL if frame.color_range == FULL else 1
            frame = frame.reformat(
                format=self._stream.pix_fmt,
                src_colorspace=matrix,
                dst_colorspace=matrix,
                src_color_range=color_range,
                dst_color_range=color_range,
            )
            frame.pts, frame.time_base = before.pts, before.time_base
        frame.pict_type = 0  # the encoder chooses its own key frames
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def copy(self, packet: av.Packet[Any]) -> None:
        """Copy a packet of sound, subtitles or other data."""
        packet.stream = self._copies[packet.stream.index]
        self._container.mux(packet)

    def finish(self) -> None:
        """Encode what the encoder holds back."""
        for packet in self._stream.encode(None):
            self._container.mux(packet)


@contextmanager
def open_writer(
    path: Path, reader: VideoReader, sample: FrameSample, options: EncodingOptions, copied: list[Stream]
) -> Generator[VideoWriter]:
    """Open ``path`` for frames like ``sample`` of ``reader`` and the ``copied`` streams.

    The file appears under its name when the block ends without an error; otherwise nothing is left. Size, frame rate, timestamps,
    pixel aspect ratio, rotation, colors, metadata and chapters are those of the reader. Raises OptionError for options that do
    not fit, VideoFileError and OSError if the file cannot be written.
    """
    av_package = load_av()
    with atomic_path(path) as temporary:
        muxer = check_target(path)
        container = av_package.open(f"file:{temporary}", "w", format=muxer, options=_MUXER_OPTIONS.get(muxer, {}))
        try:
            writer = _started(container, path, reader, sample, options, copied)
            yield writer
            writer.finish()
            container.close()
        except av_package.error.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise VideoFileError(f"{path} cannot be written: {error}. Try another codec or container.") from error
        finally:
            with suppress(Exception):  # the first error counts
                container.close()


def copyable_streams(reader: VideoReader, target: Path) -> list[Stream]:
    """Return the streams of ``reader`` that the container of ``target`` can hold; log the others.

    Raises VideoFileError for sound that it cannot hold, because a silent video is rarely wanted.
    """
    supported = _supported_codecs(check_target(target))
    copied: list[Stream] = []
    for stream in reader.other_streams:
        context: Any = stream.codec_context
        codec = None if context is None else context.codec.canonical_name
        if codec in supported:
            copied.append(stream)
        elif stream.type == "audio":
            raise VideoFileError(
                f"{target.suffix} files cannot contain the {codec} sound of {reader.path}. Write an .mkv file, which can."
            )
        else:
            name = f"{codec} " if codec else ""
            _log.warning(
                "%s: its %s%s stream is left out, because %s cannot contain it.",
                target,
                name,
                stream.type,
                target.suffix,
            )
    return copied


def _supported_codecs(muxer: str) -> set[str]:
    with load_av().open(BytesIO(), "w", format=muxer) as container:
        return container.supported_codecs


def _started(
    container: OutputContainer,
    path: Path,
    reader: VideoReader,
    sample: FrameSample,
    options: EncodingOptions,
    copied: list[Stream],
) -> VideoWriter:
    stream = _video_stream(container, path, reader, sample, options)
    copies: dict[int, Any] = {}
    for source in copied:
        copy = container.add_stream_from_template(source)
        copy.metadata.update(source.metadata)
        copy.disposition = source.disposition
        copies[source.index] = copy
    container.metadata.update(reader.container.metadata)
    container.set_chapters(reader.container.chapters())
    container.start_encoding()
    return VideoWriter(container, stream, copies)


def _video_stream(
    container: OutputContainer, path: Path, reader: VideoReader, sample: FrameSample, options: EncodingOptions
) -> VideoStream:
    frame = sample.frame
    encoding = choose_encoding(options, check_target(path), frame.format.name, Size(frame.width, frame.height))
    settings = dict(encoding.options)
    if sample.is_interlaced and encoding.codec in _INTERLACED_FLAGS:
        settings["flags"] = _INTERLACED_FLAGS[encoding.codec]
    stream: Any = container.add_stream(encoding.codec, rate=reader.rate, options=settings)
    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, encoding.pixel_format
    stream.time_base = reader.time_base
    context = stream.codec_context
    context.time_base = reader.time_base
    if reader.stream.sample_aspect_ratio:
        context.sample_aspect_ratio = reader.stream.sample_aspect_ratio
    context.thread_type = "AUTO"
    context.color_range, context.colorspace = frame.color_range, frame.colorspace
    context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc
    if sample.display_matrix is not None:
        stream.set_display_matrix(sample.display_matrix)
    stream.metadata.update(reader.stream.metadata)
    return stream
