"""Write restored frames and the copied sound and subtitles to a video file."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager, suppress
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import OptionError, VideoFileError
from ..files import atomic_path
from ..images.box import Size
from .encoding import Encoding, EncodingOptions, check_encoder, check_target, choose_encoding
from .pixel_formats import BT709_MATRIX, FULL, LIMITED, RGB_MATRIX, color_range_of
from .read_video import FrameSample, VideoReader, load_av, open_video, read_sample

if TYPE_CHECKING:
    import av
    from av.container import OutputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

_INDEX_FIRST = {"movflags": "+faststart"}  # lets browsers play the file while it downloads
_MUXER_OPTIONS = {"mp4": _INDEX_FIRST, "mov": _INDEX_FIRST}
_USUAL_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}  # FFmpeg's names, by number of channels
_INTERLACED_FLAGS = {"libx264": "+ildct+ilme", "mpeg2video": "+ildct+ilme"}
_HDR_METADATA = (
    "MASTERING_DISPLAY_METADATA",
    "CONTENT_LIGHT_LEVEL",
    "DYNAMIC_HDR_PLUS",
    "DOVI_METADATA",
    "DYNAMIC_HDR_VIVID",
)
# Encoders whose formats cannot state that a video has the full range.
_LIMITED_RANGE_ONLY = ("prores", "prores_aw", "prores_ks", "dnxhd")
_MAX_DELAY = 64  # maximum number of frames that an encoder holds back
_MAX_TICKS = 1 << 40  # maximum time from decoding to display, in units of the time base; a longer one is wrong

_log = logging.getLogger(__name__)


class _CopiedEnd(NamedTuple):
    """Store the decoding time of the last copied packet of a stream, and the earliest time of the next one."""

    dts: int
    next_dts: int


class VideoWriter:
    """A video file that is open for writing; ``open_writer``, ``open_new_video`` and ``open_joiner`` yield it."""

    def __init__(self, container: OutputContainer, stream: VideoStream, copies: dict[int, Stream]) -> None:
        self._container = container
        self._stream = stream
        self._copies = copies
        self._first_times: list[int] = []  # timestamps of the first frames
        self._packet_count = 0
        self._shifts: dict[int, int] = {}  # by index of the source's stream
        self._copied_ends: dict[int, _CopiedEnd] = {}

    def write(self, frame: av.VideoFrame) -> None:
        """Encode the next frame."""
        before = frame
        color_range = color_range_of(frame)
        stored_range = LIMITED if self._stream.codec_context.name in _LIMITED_RANGE_ONLY else color_range
        if frame.format.name != self._stream.pix_fmt or stored_range != color_range:
            matrix = frame.colorspace
            frame = frame.reformat(
                format=self._stream.pix_fmt,
                src_colorspace=matrix,
                dst_colorspace=_stored_matrix(matrix, str(self._stream.pix_fmt)),
                src_color_range=color_range,
                dst_color_range=stored_range,
            )
            frame.pts, frame.time_base = before.pts, before.time_base
        frame.pict_type = 0  # the encoder chooses its own key frames
        if len(self._first_times) < _MAX_DELAY:
            self._first_times.append(int(frame.pts or 0))
        for packet in self._stream.encode(frame):
            self._mux(packet)

    def copy(self, packet: av.Packet[Any]) -> None:
        """Copy a packet of sound, subtitles or other data of the source.

        If the timestamps of a stream jump back, as in joined recordings, a warning is logged, and all later ones are shifted to
        follow the earlier ones.
        """
        index, ends = packet.stream.index, self._copied_ends
        if packet.dts is not None:
            shift = self._shifts.get(index, 0)
            if index in ends and packet.dts + shift < ends[index].dts:
                shift = self._shifts[index] = ends[index].next_dts - packet.dts
                _log.warning(
                    "The times of the %s jump back by %.2f s after %.2f s. It continues there, but may not match the picture.",
                    packet.stream.type,
                    float((ends[index].dts - packet.dts) * packet.time_base),
                    float(ends[index].dts * packet.time_base),
                )
            packet.dts += shift
            if packet.pts is not None:
                packet.pts += shift
            ends[index] = _CopiedEnd(packet.dts, packet.dts + max(packet.duration or 0, 1))
        packet.stream = self._copies[index]
        self._container.mux(packet)

    def join(self, packet: av.Packet[Any]) -> None:
        """Append an encoded packet of the video."""
        packet.stream = self._stream
        self._container.mux(packet)

    def finish(self) -> None:
        """Write the frames that the encoder still holds back."""
        for packet in self._stream.encode(None):
            self._mux(packet)

    def _mux(self, packet: av.Packet[Any]) -> None:
        """Write a packet. libx265 sets wrong decoding times if a video has fewer frames than it holds back; correct them."""
        times, number = self._first_times, self._packet_count
        if number < len(times) and not _is_plausible(packet):
            packet.dts = times[number] - (times[-1] - times[0])  # increases, and is never later than the first frame
        self._packet_count += 1
        self._container.mux(packet)


def _is_plausible(packet: av.Packet[Any]) -> bool:
    return packet.pts is None or packet.dts is None or 0 <= packet.pts - packet.dts <= _MAX_TICKS


@contextmanager
def open_writer(
    path: Path, reader: VideoReader, sample: FrameSample, encoding: Encoding, copied: list[Stream]
) -> Generator[VideoWriter]:
    """Open ``path`` for frames like ``sample`` of ``reader``, encoded by ``encoding``, and for the ``copied`` streams.

    The file appears under its name when the block ends without an error; otherwise nothing is left. Size, frame rate, timestamps,
    pixel aspect ratio, rotation, colors, metadata and chapters are those of the reader. Raises VideoFileError and OSError if the
    file cannot be written.
    """
    with _open_container(path) as container:
        stream = _encoded_stream(container, reader.rate, sample, encoding)
        writer = _started(container, stream, reader, sample, copied)
        yield writer
        writer.finish()


@contextmanager
def open_new_video(path: Path, rate: Fraction, sample: FrameSample, encoding: Encoding) -> Generator[VideoWriter]:
    """Open ``path`` for frames like ``sample``, at ``rate`` frames per second, without a source video. See ``open_writer``."""
    with _open_container(path) as container:
        stream = _encoded_stream(container, rate, sample, encoding)
        stream.time_base = stream.codec_context.time_base = 1 / rate
        _describe_colors(stream, sample)
        container.start_encoding()
        writer = VideoWriter(container, stream, {})
        yield writer
        writer.finish()


@contextmanager
def open_joiner(
    path: Path, reader: VideoReader, sample: FrameSample, encoded: VideoStream, copied: list[Stream]
) -> Generator[VideoWriter]:
    """Open ``path`` for packets of the stream ``encoded``, and for the ``copied`` streams of ``reader``.

    Everything else is as ``open_writer`` describes.
    """
    with _open_container(path) as container:
        # Without an encoder of this name, as for libdav1d, the parameters are copied, which include aspect ratio and colors.
        stream = container.add_stream_from_template(encoded, opaque=not _is_encoder(encoded.codec.name))
        yield _started(container, stream, reader, sample, copied)


def choose_output(source: str | Path, target: str | Path, options: EncodingOptions) -> Encoding:
    """Return the encoding of the restored ``source`` in ``target``, and log what will be missing in ``target``.

    Raises OptionError for an encoding that is not possible, and VideoFileError for a source that cannot be read, or sound that
    ``target`` cannot hold.
    """
    source, target = Path(source), Path(target)
    with open_video(source) as reader:
        copied = copyable_streams(reader, target)
        for stream in reader.other_streams:
            if stream not in copied:
                _log_left_out(stream, target)
        if reader.stream.codec_context.name in ("vp8", "vp9") and reader.stream.metadata.get("alpha_mode") == "1":
            _log.warning(
                "%s: the transparency of %s is lost, because FFmpeg's decoder ignores it.", target, source.name
            )
        rate, time_base = reader.rate, reader.time_base
    frame = read_sample(source).frame
    if any(frame.side_data.get(name) for name in _HDR_METADATA):
        _log.warning(
            "%s: the HDR metadata of %s is lost. The pixels keep their colors, but displays may map their brightness differently.",
            target,
            source.name,
        )
    encoding = choose_encoding(options, check_target(target), frame.format.name, Size(frame.width, frame.height))
    check_container(target, encoding)
    check_encoder(encoding, Size(frame.width, frame.height), rate, time_base)
    return encoding


def check_container(path: Path, encoding: Encoding) -> None:
    """Raise OptionError if the container of ``path`` cannot hold the codec of ``encoding``."""
    codec = load_av().codec.Codec(encoding.codec, "w").canonical_name
    if codec not in _supported_codecs(check_target(path)):
        raise OptionError(f"{path}: {path.suffix} files cannot contain {codec} video. Choose another codec or suffix.")


def copyable_streams(reader: VideoReader, target: Path) -> list[Stream]:
    """Return the streams of ``reader`` that the container of ``target`` can hold.

    Attached pictures are not copied. Raises VideoFileError for sound that it cannot hold, because a silent video is rarely wanted.
    """
    supported = _supported_codecs(check_target(target))
    copied: list[Stream] = []
    for stream in reader.other_streams:
        codec = _codec_name(stream)
        if _is_picture(stream):
            continue
        if codec in supported:
            copied.append(stream)
        elif stream.type == "audio":
            raise VideoFileError(
                f"{target.suffix} files cannot contain the {codec} sound of {reader.path}. {_advice(codec)}"
            )
    return copied


def _advice(codec: str | None) -> str:
    if codec in _supported_codecs("matroska"):
        return "Write an .mkv file, which can."
    return "Convert the sound first, for example to AAC or FLAC."


def _log_left_out(stream: Stream, target: Path) -> None:
    if _is_picture(stream) or stream.type == "attachment":
        kind = "picture" if _is_picture(stream) else "file"
        _log.warning("%s: an attached %s is left out. Only video, sound, subtitles and data are copied.", target, kind)
        return
    codec = _codec_name(stream)
    name = f"{codec} {stream.type}" if codec else stream.type
    _log.warning("%s: its %s stream is left out, because %s cannot contain it.", target, name, target.suffix)


def _is_picture(stream: Any) -> bool:
    """Return whether ``stream`` is an attached picture, such as the cover of an album."""
    return bool(stream.disposition & load_av().stream.Disposition.attached_pic)


def _codec_name(stream: Any) -> str | None:
    return None if stream.codec_context is None else stream.codec_context.codec.canonical_name


def _supported_codecs(muxer: str) -> set[str]:
    with load_av().open(BytesIO(), "w", format=muxer) as container:
        return container.supported_codecs


@contextmanager
def _open_container(path: Path) -> Generator[OutputContainer]:
    """Open a temporary file that becomes ``path`` when the block ends without an error."""
    av_package = load_av()
    with atomic_path(path) as temporary:
        muxer = check_target(path)
        container = av_package.open(f"file:{temporary}", "w", format=muxer, options=_MUXER_OPTIONS.get(muxer, {}))
        try:
            yield container
            container.close()
        except av_package.error.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise VideoFileError(f"{path} cannot be written: {error}. Try another codec or container.") from error
        finally:
            with suppress(Exception):  # the first error counts
                container.close()


def _started(
    container: OutputContainer, stream: Any, reader: VideoReader, sample: FrameSample, copied: list[Stream]
) -> VideoWriter:
    """Describe the video ``stream`` like that of ``reader``, add the ``copied`` streams, and write the header."""
    stream.time_base = reader.time_base
    if stream.codec_context.is_encoder:
        stream.codec_context.time_base = reader.time_base
        if reader.stream.sample_aspect_ratio:
            stream.codec_context.sample_aspect_ratio = reader.stream.sample_aspect_ratio
        _describe_colors(stream, sample)
    if sample.display_matrix is not None:
        stream.set_display_matrix(sample.display_matrix)
    stream.metadata.update({name: text for name, text in reader.stream.metadata.items() if name != "alpha_mode"})
    copies: dict[int, Any] = {}
    for source in copied:
        copy = container.add_stream_from_template(source)
        if source.type == "audio":
            _order_channels(copy.codec_context)
        copy.metadata.update(source.metadata)
        copy.disposition = source.disposition
        copies[source.index] = copy
    container.metadata.update(reader.container.metadata)
    container.set_chapters(reader.container.chapters())
    container.start_encoding()
    return VideoWriter(container, stream, copies)


def _order_channels(context: Any) -> None:
    """Set the usual channel layout if the layout of ``context`` has only a number of channels, like that of PCM in .avi and .mkv.

    The .mp4 muxer refuses such a layout when it writes the end of the file.
    """
    count = context.layout.nb_channels
    if context.layout.name == f"{count} channels" and count in _USUAL_LAYOUTS:
        context.layout = _USUAL_LAYOUTS[count]


def _is_encoder(name: str) -> bool:
    av = load_av()
    try:
        return bool(av.codec.Codec(name, "w").is_encoder)
    except av.codec.codec.UnknownCodecError:
        return False


def _stored_matrix(matrix: int, pixel_format: str) -> int:
    """Return FFmpeg's number for the matrix of stored samples. Only RGB is stored without a matrix."""
    if load_av().VideoFormat(pixel_format).is_rgb:
        return RGB_MATRIX
    return BT709_MATRIX if matrix == RGB_MATRIX else matrix


def _describe_colors(stream: Any, sample: FrameSample) -> None:
    frame, context = sample.frame, stream.codec_context
    context.color_range, context.colorspace = frame.color_range, frame.colorspace
    context.colorspace = _stored_matrix(frame.colorspace, stream.pix_fmt)
    if context.colorspace == RGB_MATRIX:
        context.color_range = FULL
    elif context.name in _LIMITED_RANGE_ONLY:
        context.color_range = LIMITED
    elif frame.format.name.startswith("gray"):
        context.color_range = color_range_of(frame)
    context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc


def _encoded_stream(container: OutputContainer, rate: Fraction, sample: FrameSample, encoding: Encoding) -> Any:
    settings = dict(encoding.options)
    if sample.is_interlaced and encoding.codec in _INTERLACED_FLAGS:
        settings["flags"] = _INTERLACED_FLAGS[encoding.codec]
    stream: Any = container.add_stream(encoding.codec, rate=rate, options=settings)
    stream.width, stream.height, stream.pix_fmt = sample.frame.width, sample.frame.height, encoding.pixel_format
    stream.codec_context.thread_type = "AUTO"
    return stream
