"""Downloads with progress that a user can cancel."""

from __future__ import annotations

import threading
from pathlib import Path

from ..psfr_core.errors import PsfrError
from ..psfr_core.models.hub import download_model
from ..psfr_core.models.manifest import ModelFile
from .runtime import Steps

_POLL_SECONDS = 0.2


class _Download(threading.Thread):
    """Download one file in the background."""

    def __init__(self, entry: ModelFile, folder: Path) -> None:
        super().__init__(name=f"download of {entry.name}", daemon=True)
        self._entry, self._folder = entry, folder
        self.progress = (0, entry.size_bytes or 1)  # received and total bytes
        self.path: Path | None = None
        self.error: PsfrError | None = None

    def run(self) -> None:
        try:
            self.path = download_model(self._entry, self._folder, progress=self._report)
        except PsfrError as error:
            self.error = error

    def _report(self, done: int, total: int) -> None:
        self.progress = (done, max(1, total))


_running: dict[str, _Download] = {}  # a canceled wait does not stop a download, so a later run can wait for it again


def download(entry: ModelFile, folder: Path) -> Path:
    """Download ``entry`` from the Hugging Face Hub into ``folder`` and return its path.

    Cancel ends the wait at once; the download continues in the background and is used by the next run. Raises
    DownloadError, which names the file and its address and explains how to download it by hand.
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
        raise thread.error or PsfrError(f"The download of {entry.name} ended without a file. See ComfyUI's log.")
    return thread.path
