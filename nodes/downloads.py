"""Downloads that show their progress and do not keep a user from pressing Cancel."""

from __future__ import annotations

import threading
from pathlib import Path

from ..psfr_core.errors import PsfrError
from ..psfr_core.models.hub import download_model
from ..psfr_core.models.manifest import ModelFile
from .runtime import Steps

_POLL_SECONDS = 0.2


class _Download(threading.Thread):
    """The download of one file, in the background."""

    def __init__(self, entry: ModelFile, folder: Path) -> None:
        super().__init__(name=f"download of {entry.name}", daemon=True)
        self._entry, self._folder = entry, folder
        self.progress = (0, entry.size_bytes or 1)  # bytes that have arrived, and of how many
        self.path: Path | None = None
        self.error: PsfrError | None = None

    def run(self) -> None:
        try:
            self.path = download_model(self._entry, self._folder, progress=self._report)
        except PsfrError as error:
            self.error = error

    def _report(self, done: int, total: int) -> None:
        self.progress = (done, max(1, total))


_running: dict[str, _Download] = {}  # a download that a user stopped waiting for goes on, and may be waited for again


def download(entry: ModelFile, folder: Path) -> Path:
    """The file of ``entry``, fetched from the Hugging Face Hub into ``folder``.

    Cancel ends the wait at once; what has begun to arrive is finished in the background and used the next time. Raises
    DownloadError, which says which file was wanted from where, and how to get it by hand.
    """
    thread = _running.get(entry.name)
    if thread is None or not thread.is_alive():
        thread = _running[entry.name] = _Download(entry, folder)
        thread.start()
    steps = Steps(entry.size_bytes or 1)
    while thread.is_alive():
        steps(*thread.progress)
        thread.join(_POLL_SECONDS)
    del _running[entry.name]
    if thread.path is None:
        raise thread.error or PsfrError(f"The download of {entry.name} ended without a file. Look into ComfyUI's log.")
    return thread.path
