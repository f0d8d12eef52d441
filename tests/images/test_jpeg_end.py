"""JPEG files without their end marker are read only if no pixel is missing."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from psfr_core.errors import ImageFileError
from psfr_core.images.io import read_image
from psfr_core.images.jpeg_end import with_end_marker

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8).repeat(9, 0).repeat(9, 1)


def jpeg(**options: Any) -> bytes:
    buffer = BytesIO()
    Image.fromarray(PIXELS).save(buffer, "JPEG", **options)
    return buffer.getvalue()


KINDS = {
    "baseline": jpeg(),
    "restarts": jpeg(restart_marker_rows=1),
    "progressive": jpeg(progressive=True),
    "optimized": jpeg(optimize=True, subsampling=0),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", [b"", b"\xff"], ids=["nothing", "half a marker"])
def test_missing_end_marker_is_logged_and_all_pixels_are_read(
    tmp_path: Path, kind: str, ending: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(KINDS[kind])
    whole = read_image(path).pixels
    assert not caplog.records
    path.write_bytes(KINDS[kind][:-2] + ending)
    assert torch.equal(read_image(path).pixels, whole)
    assert "a.jpg has no JPEG end marker; all its pixels were read" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_missing_image_data_raises_wherever_the_file_ends(tmp_path: Path, kind: str) -> None:
    data = KINDS[kind]
    first = data.index(b"\xff\xda") + 20
    lengths = {*np.linspace(first, len(data) - 8, 40).astype(int).tolist()}
    lengths |= {
        at for at in range(first, len(data) - 8) if data[at] == 0xFF
    }  # at markers between scans and restart intervals
    assert [length for length in sorted(lengths) if with_end_marker_or_none(data[:length]) is not None] == []
    path = tmp_path / "a.jpg"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageFileError, match=r"a\.jpg cannot be read because it is damaged or truncated"):
        read_image(path)


def with_end_marker_or_none(data: bytes) -> bytes | None:
    try:
        return with_end_marker(data)
    except OSError:
        return None
