"""Join restored segments of a video without encoding them again."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import VideoFileError
from .read_video import VideoReader, open_video, read_sample
from .write_video import copyable_streams, open_joiner

if TYPE_CHECKING:
    import av


def join_segments(
    segments: Sequence[str | Path], source: str | Path, target: str | Path, timestamps: Sequence[int]
) -> None:
    """Join the files of ``restore_segment`` to the video file ``target``.

    ``segments`` are in the order of their frames, and contain all frames. The frames get the ``timestamps`` of the plan. Sound,
    subtitles, rotation, colors, metadata and chapters are those of ``source``. ``target`` appears when it is complete. Raises
    VideoFileError if a file cannot be read or written, or if the number of frames is not that of ``timestamps``, OptionError for a
    suffix that cannot be written, and OSError if the target cannot be written.
    """
    paths, source, target = [Path(path) for path in segments], Path(source), Path(target)
    orders = [_display_order(path) for path in paths]
    if sum(map(len, orders)) != len(timestamps):
        raise VideoFileError(
            f"The segments of {target} have {sum(map(len, orders))} packets for {len(timestamps)} frames. "
            "Name all segments, or use another codec."
        )
    sample = read_sample(source)
    with open_video(source) as reader, ExitStack() as stack:
        copied = copyable_streams(reader, target)
        first = stack.enter_context(open_video(paths[0]))
        with open_joiner(target, reader, sample, first.stream, copied) as joiner:
            encoded = _timed(paths, orders, timestamps, reader)
            # Muxers expect packets in the order of their decoding times.
            others = (packet for packet in reader.copies(copied) if packet.dts is not None)
            for packet in heapq.merge(encoded, others, key=_seconds):
                if packet.stream in copied:
                    joiner.copy(packet)
                else:
                    joiner.join(packet)


def count_packets(path: Path) -> int:
    """Return the number of packets of the segment ``path``. Raise VideoFileError if it cannot be read."""
    return sum(1 for _ in _packets(path))


def _display_order(path: Path) -> list[int]:
    """Return the position in display order of each packet of ``path``."""
    times = [int(packet.pts or 0) for packet in _packets(path)]
    order = [0] * len(times)
    for place, index in enumerate(sorted(range(len(times)), key=times.__getitem__)):
        order[index] = place
    return order


def _packets(path: Path) -> Iterator[av.Packet[Any]]:
    with open_video(path) as reader:
        yield from reader.copies([reader.stream])


def _timed(
    paths: Sequence[Path], orders: Sequence[Sequence[int]], timestamps: Sequence[int], reader: VideoReader
) -> Iterator[av.Packet[Any]]:
    """Yield the packets of all segments with the timestamps of the source.

    A frame is shown up to ``delay`` places before its position in decoding order. The decoding time of each packet is therefore
    the display time ``delay`` places earlier.
    """
    delay = max(index - place for order in orders for index, place in enumerate(order))
    step = max(round(1 / (reader.rate * reader.time_base)), 1)
    decoded = [timestamps[0] - step * (delay - index) for index in range(delay)]
    decoding_times = [*decoded, *timestamps[: len(timestamps) - delay]]
    start = 0
    for path, order in zip(paths, orders, strict=True):
        for index, (packet, place) in enumerate(zip(_packets(path), order, strict=True)):
            packet.time_base = reader.time_base
            packet.pts, packet.dts = timestamps[start + place], decoding_times[start + index]
            packet.duration = _duration(timestamps, start + place, step)
            yield packet
        start += len(order)


def _duration(timestamps: Sequence[int], place: int, step: int) -> int:
    return timestamps[place + 1] - timestamps[place] if place + 1 < len(timestamps) else step


def _seconds(packet: av.Packet[Any]) -> Fraction:
    return Fraction(packet.dts or 0) * packet.time_base
