"""Run a local Hugging Face Hub for tests."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast


class HubServer(ThreadingHTTPServer):
    """A local Hub with files by path and configurable failures."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), HubRequest)
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str | None, str | None]] = []  # path, Range, Authorization
        self.cut: list[int] = []  # each response closes the connection after this number of bytes
        self.failures: list[tuple[int, dict[str, str]]] = []  # status and headers of the next responses
        self.has_versions, self.ignores_versions, self.has_lengths = True, False, True
        self.redirect: str | None = None  # address of the CDN to redirect to
        self.allowed = threading.Event()  # the second half of every body is sent after this event
        self.allowed.set()
        self.half_sent = threading.Event()

    @property
    def address(self) -> str:
        """Base URL of the server."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore connections that a test closes."""

    def put(self, repo_id: str, path: str, content: bytes, revision: str = "main") -> None:
        """Add a file to a repository."""
        self.files[f"/{repo_id}/resolve/{revision}/{path}"] = content


class HubRequest(BaseHTTPRequestHandler):
    """Handle GET requests with Range and If-Range, like a CDN."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        hub = self._hub
        hub.requests.append((self.path, self.headers["Range"], self.headers["Authorization"]))
        if hub.failures:
            self._answer(*hub.failures.pop(0))
        elif hub.redirect and not self.path.startswith("/cdn"):
            self._answer(302, {"Location": hub.redirect + "/cdn" + self.path})
        elif (content := hub.files.get(self.path.removeprefix("/cdn"))) is None:
            self._answer(404, {"X-Error-Message": "Entry not found"})
        else:
            self._send(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # named by the base class
        """Suppress the request log."""

    @property
    def _hub(self) -> HubServer:
        return cast(HubServer, self.server)

    def _send(self, content: bytes) -> None:
        hub, start = self._hub, 0
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        headers = {"ETag": tag} if hub.has_versions else {}
        if self.headers["Range"] and (hub.ignores_versions or self.headers["If-Range"] == tag):
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        length = {"Content-Length": str(len(body))} if hub.has_lengths else {"Connection": "close"}
        self._answer(206 if start else 200, {**headers, **length})
        if hub.cut:
            self.wfile.write(body[: hub.cut.pop(0)])
            self.close_connection = True
            return
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        hub.half_sent.set()
        hub.allowed.wait(10)
        self.wfile.write(body[len(body) // 2 :])

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status not in (200, 206):
            self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def running_hub() -> Generator[HubServer]:
    """Run a server without files inside the block."""
    with HubServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server
        finally:
            server.allowed.set()
            server.shutdown()
