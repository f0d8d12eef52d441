"""Download files over HTTP, and resume interrupted downloads."""

from __future__ import annotations

import contextlib
import logging
import re
import ssl
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import BadStatusLine, HTTPMessage, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ..errors import DownloadError
from ..progress import Progress

logger = logging.getLogger(__name__)

MAX_BYTES = 4 << 30  # larger than any supported model
MAX_WAIT_SECONDS = 30  # during a longer wait without progress, the program would seem to hang
TIMEOUT_SECONDS = 15
TRIES = 5  # maximum number of successive tries without new data
_BUSY = frozenset({408, 429, 500, 502, 503, 504})  # HTTP status codes after which another try may succeed
_POLL_SECONDS = 0.2  # time between calls of the progress callback while waiting
_BLOCK_BYTES = 1 << 18
_NETWORK_ERRORS = (URLError, IncompleteRead, BadStatusLine, ConnectionError, TimeoutError, ssl.SSLError)


class NotOnServerError(DownloadError):
    """Raised if the server has no file at an address."""


@dataclass(frozen=True)
class Transfer:
    """A download of ``url`` into the file ``part``.

    ``token`` is sent to the host of ``url``, but not to other hosts after a redirect. ``size`` is the size of the file in bytes, or
    None if unknown. ``progress`` is called with received and total bytes, and may raise to stop.
    """

    url: str
    part: Path
    token: str | None = None
    size: int | None = None
    progress: Progress | None = None

    def run(self) -> None:
        """Download the missing rest of ``part``.

        ``version_file`` stores the version of the server's file. Bytes of an interrupted download are kept if the server still has
        this version. If the connection is lost or the server is busy, the download is retried. If the server cannot be reached, the
        download is retried only after this run has received data.
        Raises NotOnServerError for a missing file, OSError if ``part`` cannot be written, HTTPException or ValueError for an
        invalid address, and DownloadError for all other failures.
        """
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise DownloadError(f"{self.url} does not begin with https:// or http://")
        failed_tries, initially_present = 0, self.present
        while True:
            before = self.present
            try:
                return self._receive()
            except _NETWORK_ERRORS as error:
                failed_tries = 0 if self.present > before else failed_tries + 1
                seconds = _seconds_to_wait(error, failed_tries)
                is_unreachable = isinstance(error, URLError) and not isinstance(error, HTTPError)
                if failed_tries == TRIES or (is_unreachable and self.present == initially_present):
                    raise DownloadError(_description(error)) from error
                logger.warning("%s: %s. Trying again in %.0f s.", self.url, _description(error), seconds)
                self._wait(seconds)

    def discard(self) -> None:
        """Delete the downloaded bytes and the version file."""
        for path in (self.part, self.version_file):
            path.unlink(missing_ok=True)

    @property
    def version_file(self) -> Path:
        """File that stores which version of the server's file ``part`` contains."""
        return self.part.with_name(f"{self.part.name}.version")

    @property
    def present(self) -> int:
        """Number of bytes in ``part``."""
        return self.part.stat().st_size if self.part.exists() else 0

    def _receive(self) -> None:
        with build_opener(_Redirects).open(self._request(), timeout=TIMEOUT_SECONDS) as response:
            if response.headers.get_content_type() == "text/html":
                raise DownloadError(
                    "the server sends a web page instead of the file, for example to sign in to the network"
                )
            start, total = self._extent(response)
            if total is not None and not (self.size or 0) <= total <= (self.size or MAX_BYTES):
                raise DownloadError(f"the server offers {total:,} bytes, expected {self.size or MAX_BYTES:,}")
            with self.part.open("r+b" if start else "wb") as file:
                if start == 0:
                    self.version_file.write_text(_version(response.headers), "latin-1")
                file.seek(start)
                done = self._copy(response, file, total)
        if total not in (None, done):
            raise ConnectionError(f"the connection ended after {done:,} of {total:,} bytes")

    def _request(self) -> Request:
        # run() has checked the scheme.
        request = Request(self.url, headers={"User-Agent": "psfrgan"})  # noqa: S310
        if self.token:
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        version = self._stored_version()
        if version and self.present:
            # Request the last byte again, because a range beyond the end of a complete file would be an error.
            request.add_header("Range", f"bytes={self.present - 1}-")
            request.add_header("If-Range", version)
        return request

    def _stored_version(self) -> str:
        stored = self.version_file.read_text("latin-1") if self.version_file.exists() else ""
        # A power failure can leave arbitrary bytes in the file.
        return stored if stored.isascii() and stored.isprintable() else ""

    def _extent(self, response: HTTPResponse) -> tuple[int, int | None]:
        """Return the offset at which ``response`` starts, and the size of the file, or None if unknown.

        Raises ConnectionError, so that the download restarts from the beginning, if the server sent another part or another version
        of the file.
        """
        if response.status != 206:
            length = response.headers.get("Content-Length", "")
            return 0, int(length) if length.isdecimal() else None
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        if found and int(found[1]) == self.present - 1 and _version(response.headers) == self._stored_version():
            return int(found[1]), int(found[2])
        self.version_file.unlink()  # the next try starts from the beginning
        raise ConnectionError("the server sent another part of the file than requested")

    def _copy(self, response: HTTPResponse, file: IO[bytes], total: int | None) -> int:
        """Write the body of ``response`` to ``file``, and return the position of its end in the file."""
        done = file.tell()
        while block := response.read1(_BLOCK_BYTES):
            done += file.write(block)
            if done > (self.size or MAX_BYTES):
                raise DownloadError(f"the server sends more than {self.size or MAX_BYTES:,} bytes")
            if self.progress:
                self.progress(done, max(done, total or self.size or 0))
        return done

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.progress:
                self.progress(self.present, max(1, self.present, self.size or 0))
            time.sleep(min(left, _POLL_SECONDS))


class _Redirects(HTTPRedirectHandler):
    """Handler that follows redirects, but never from https to another scheme.

    It sends the authorization only to the same server.
    """

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if urlsplit(newurl).scheme not in ("https", urlsplit(req.full_url).scheme):
            raise DownloadError(f"the server redirects to an address without encryption ({newurl[:200]})")
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and urlsplit(req.full_url)[:2] == urlsplit(newurl)[:2]:
            request.unredirected_hdrs.update(req.unredirected_hdrs)
        return request


def _version(headers: Message) -> str:
    """Return the version of a file for If-Range, or an empty text if the server provides none."""
    tag = headers.get("ETag", "")
    return headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag


def _seconds_to_wait(error: Exception, failed_tries: int) -> float:
    """Return the seconds to wait before the next try. Raise DownloadError if another try would fail as well."""
    if not isinstance(error, HTTPError):
        return _backoff(failed_tries)
    if error.code in (404, 410):
        raise NotOnServerError(_description(error)) from error
    if error.code not in _BUSY:
        raise DownloadError(_description(error)) from error
    seconds = _retry_after(error.headers.get("Retry-After", ""))
    if seconds is not None and seconds > MAX_WAIT_SECONDS:
        raise DownloadError(f"{_description(error)}: it asks to try again in {seconds:,.0f} seconds") from error
    return _backoff(failed_tries) if seconds is None else seconds


def _backoff(failed_tries: int) -> float:
    """Return the seconds to wait after ``failed_tries`` successive tries without new data."""
    return 2.0**failed_tries


def _retry_after(value: str) -> float | None:
    """Return the seconds until the time in a Retry-After header, which is a number of seconds or a date, or None if invalid."""
    if value.isdecimal():
        return float(value)
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(timezone.utc)).total_seconds())
    return None


def _description(error: Exception) -> str:
    if isinstance(error, HTTPError):
        detail = error.headers.get("X-Error-Message")  # the Hugging Face Hub sends this header
        return f"the server answers {error.code} {error.reason}" + (f" ({detail})" if detail else "")
    reason = error.reason if isinstance(error, URLError) else error
    return str(reason) or type(error).__name__
