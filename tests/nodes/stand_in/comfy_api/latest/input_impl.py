"""Imitate ComfyUI's videos."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path


class VideoFromFile:
    def __init__(self, file: str | BytesIO) -> None:
        self._file = file

    def get_stream_source(self) -> str | BytesIO:
        return self._file

    def get_duration(self) -> float:
        import av

        with av.open(self._file) as container:
            return float((container.duration or 0) / 1_000_000)

    def get_dimensions(self) -> tuple[int, int]:
        import av

        with av.open(self._file) as container:
            stream = container.streams.video[0]
            return stream.width, stream.height

    def save_to(self, path: str) -> None:
        source = self._file
        Path(path).write_bytes(source.getvalue() if isinstance(source, BytesIO) else Path(source).read_bytes())


class InputImpl:
    VideoFromFile = VideoFromFile
