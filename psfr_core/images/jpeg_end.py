"""Complete JPEG files that lack only their end marker."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import numpy as np
from PIL import Image

_END = b"\xff\xd9"
_START_OF_SCAN = 0xDA
# Arbitrary bytes that a decoder reads as image data. They alternate with the eight restart markers, because a decoder that lacks
# data resumes at the marker that it expects next.
_FILLER = b"".join(b"\x5a\xc3\x17\x3c\xa5" * 8 + bytes([0xFF, 0xD0 + number]) for number in [*range(8), *range(8)])


def with_end_marker(data: bytes) -> bytes | None:
    """Return the JPEG file ``data`` with the missing end marker, or None if image data is missing as well.

    A decoder that runs out of data before the end marker silently fills the rest with gray. Therefore, the file is decoded
    twice, once with filler before the end marker. The pixels are equal only if no image data is missing. For damaged data, errors
    of any type can be raised.
    """
    body = data.rstrip(b"\xff")  # the data may end with the first byte of the marker
    if not _has_all_scans(body):
        return None
    complete = body + _END
    return complete if _decoded(complete) == _decoded(body + _FILLER + _END) else None


def _decoded(data: bytes) -> bytes | None:
    with Image.open(BytesIO(data), formats=["JPEG"]) as image:
        return image.tobytes()


def _has_all_scans(data: bytes) -> bool:
    """Return whether the scans contain every bit of the 64 DCT coefficients for each color component."""
    missing_bits: dict[int, np.ndarray] = {}
    for kind, content in _segments(data):
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):  # frame header
            missing_bits = {content[offset]: np.full(64, 16) for offset in range(6, 6 + 3 * content[5], 3)}
        elif kind == _START_OF_SCAN:
            count = content[0]
            first, last, bits = content[1 + 2 * count : 4 + 2 * count]
            for offset in range(1, 1 + 2 * count, 2):
                missing_bits[content[offset]][first : last + 1] = bits & 15
    return bool(missing_bits) and not any(bits.any() for bits in missing_bits.values())


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the marker code and the content of each segment."""
    offset = data.find(b"\xff", 2)
    while 0 <= offset < len(data) - 4:
        kind = data[offset + 1]
        if kind == 0xFF or kind == 0 or 0xD0 <= kind <= 0xD9:  # padding, image data, and markers without content
            offset += 1 if kind == 0xFF else 2
        else:
            length = int.from_bytes(data[offset + 2 : offset + 4], "big")
            yield kind, data[offset + 4 : offset + 2 + length]
            offset += 2 + length
        offset = data.find(b"\xff", offset)
