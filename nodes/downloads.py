"""Download model files with a progress bar. Cancel stops a download."""

from __future__ import annotations

import threading
from pathlib import Path

from ..psfr_core.errors import PsfrError
from ..psfr_core.models.download import download_model
from ..psfr_core.models.manifest import ModelFile
from .runtime import Steps

_POLL_SECONDS = 0.2


class _CanceledError(Exception):
    """Raised in the thread of a download that was canceled."""


class _Download(threading.Thread):
    """A thread that downloads one file, so that Cancel does not wait for the network."""

    def __init__(self, entry: ModelFile, folder: Path) -> None:
        super().__init__(name=f"download of {entry.name}", daemon=True)
        self._entry, self._folder = entry, folder
        self.progress = (0, entry.size_bytes or 1)  # received and total bytes
        self.is_canceled = False
        self.path: Path | None = None
        self.error: PsfrError | None = None

    def run(self) -> None:
        try:
            self.path = download_model(self._entry, self._folder, progress=self._report)
        except PsfrError as error:
            self.error = error
        except _CanceledError:
            pass

    def _report(self, done: int, total: int) -> None:
        if self.is_canceled:
            raise _CanceledError
        self.progress = (done, max(1, total))


def download(entry: ModelFile, folder: Path) -> Path:
    """Download ``entry`` into ``folder`` and return its path.

    Cancel stops the node at once, and the download when its next bytes arrive. The next run resumes the download. Raise
    DownloadError, which names the file and its address and explains how to download it manually, if the download fails.
    """
    thread = _Download(entry, folder)
    thread.start()
    steps = Steps(entry.size_bytes or 1)
    try:
        while thread.is_alive():
            steps(*thread.progress)
            thread.join(_POLL_SECONDS)
    except BaseException:
        thread.is_canceled = True  # the thread ends when the next bytes arrive
        raise
    if thread.path is None:
        raise thread.error or PsfrError(f"The download of {entry.name} ended without a file. See ComfyUI's log.")
    return thread.path
