"""Test downloads that are interrupted, resumed, refused or delayed, with a local server."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.client import HTTPMessage
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request

import pytest

from psfr_core.errors import DownloadError
from psfr_core.models import transfer
from psfr_core.models.transfer import NotOnServerError, Transfer

CONTENT = random.Random(0).randbytes(1_000_000)
OTHER = random.Random(1).randbytes(1_000_000)
Start = Callable[..., Transfer]


@pytest.fixture
def start(hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Return a function that creates a download of a file on the Hub."""
    monkeypatch.setattr(transfer, "_backoff", lambda _: 0.0)
    hub.put("a/b", "file", CONTENT)
    return lambda **options: Transfer(f"{hub.address}/a/b/resolve/main/file", tmp_path / "file.part", **options)


def stop_after(count: int) -> Callable[[int, int], None]:
    def progress(done: int, _: int) -> None:
        if done >= count:
            raise KeyboardInterrupt

    return progress


def stopped(start: Start, count: int = 300_000) -> int:
    """Stop a download after at least ``count`` bytes, and return the number of stored bytes."""
    interrupted = start(progress=stop_after(count))
    with pytest.raises(KeyboardInterrupt):
        interrupted.run()
    return interrupted.present


def test_progress_counts_bytes(start: Start) -> None:
    seen: list[tuple[int, int]] = []
    download = start(progress=lambda done, total: seen.append((done, total)))
    download.run()
    assert download.part.read_bytes() == CONTENT
    assert seen[-1] == (1_000_000, 1_000_000)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert {total for _, total in seen} == {1_000_000}


def test_a_stopped_download_resumes(hub: Any, start: Start) -> None:
    left = stopped(start)
    assert 0 < left < 1_000_000
    seen: list[int] = []
    start(progress=lambda done, _: seen.append(done)).run()
    assert hub.requests[-1][1] == f"bytes={left - 1}-"
    assert seen[0] >= left
    assert start().part.read_bytes() == CONTENT


def test_a_complete_part_is_not_downloaded_again(hub: Any, start: Start) -> None:
    start().run()
    seen: list[int] = []
    start(progress=lambda done, _: seen.append(done)).run()
    assert hub.requests[-1][1] == "bytes=999999-"
    assert seen == [1_000_000]


def test_a_changed_file_is_downloaded_again(hub: Any, start: Start) -> None:
    stopped(start)
    hub.put("a/b", "file", OTHER)
    start().run()
    assert start().part.read_bytes() == OTHER


def test_a_download_without_a_version_starts_again(hub: Any, start: Start) -> None:
    hub.has_versions = False
    stopped(start)
    start().run()
    assert hub.requests[-1][1] is None
    assert start().part.read_bytes() == CONTENT


def test_a_server_that_ignores_versions_does_not_cause_a_mixed_file(hub: Any, start: Start) -> None:
    stopped(start)
    hub.put("a/b", "file", OTHER)
    hub.ignores_versions = True
    start().run()
    assert start().part.read_bytes() == OTHER


def test_a_shorter_new_file_replaces_a_longer_one_completely(hub: Any, start: Start) -> None:
    start().run()
    hub.put("a/b", "file", OTHER[:5000])
    start().run()
    assert start().part.read_bytes() == OTHER[:5000]


def test_lost_connections_are_resumed(hub: Any, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    hub.cut = [400_000, 0, 300_000, 0, 0]
    with caplog.at_level(logging.WARNING):
        start().run()
    assert start().part.read_bytes() == CONTENT
    assert [wanted for _, wanted, _ in hub.requests[1:]] == [
        f"bytes={n}-" for n in (399_999, 399_999, 699_998, 699_998, 699_998)
    ]
    assert "the connection ended after 400,000 of 1,000,000 bytes. Trying again" in caplog.text


def test_short_network_outages_are_waited_for(hub: Any, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.cut = [400_000]
    real, opened = transfer.Transfer._receive, iter([False, True, True, False])

    def receive(self: Transfer) -> None:
        if next(opened):
            raise URLError("Network is unreachable")
        real(self)

    monkeypatch.setattr(transfer.Transfer, "_receive", receive)
    start().run()
    assert start().part.read_bytes() == CONTENT


def test_a_refused_connection_fails_at_once(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="refused"):
        Transfer("http://127.0.0.1:9/file", tmp_path / "part").run()


@pytest.mark.parametrize("noted", [b"", bytes(20), b'"a"\nX: y', b"\xff\xfe"])
def test_a_damaged_version_file_starts_the_download_again(hub: Any, start: Start, noted: bytes) -> None:
    stopped(start)
    start().version_file.write_bytes(noted)
    start().run()
    assert hub.requests[-1][1] is None
    assert start().part.read_bytes() == CONTENT


def test_a_connection_that_is_lost_repeatedly_fails(hub: Any, start: Start) -> None:
    hub.cut = [400_000] + [0] * 20
    with pytest.raises(DownloadError, match="the connection ended after 400,000 of 1,000,000 bytes|399,999"):
        start().run()
    assert len(hub.requests) == 1 + transfer.TRIES
    assert start().present == 400_000


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again(hub: Any, start: Start, status: int) -> None:
    hub.failures = [(status, {"Retry-After": "0"}), (status, {})]
    start().run()
    assert len(hub.requests) == 3


def test_a_short_wait_is_kept_and_can_be_stopped(hub: Any, start: Start) -> None:
    hub.failures = [(429, {"Retry-After": "20"})]
    with pytest.raises(KeyboardInterrupt):
        start(progress=stop_after(0)).run()
    assert len(hub.requests) == 1


@pytest.mark.parametrize("style", ["seconds", "date"])
def test_long_waiting_times_are_refused(hub: Any, start: Start, style: str) -> None:
    date = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=3600.5), usegmt=True)
    hub.failures = [(429, {"Retry-After": "3600" if style == "seconds" else date})]
    with pytest.raises(DownloadError, match=r"answers 429 Too Many Requests: it asks to try again in 3,(600|599) sec"):
        start().run()


def test_refusals_say_why(hub: Any, start: Start) -> None:
    hub.failures = [(403, {"X-Error-Message": "This model is gated."})]
    with pytest.raises(DownloadError, match=r"the server answers 403 Forbidden \(This model is gated\.\)"):
        start().run()
    hub.files.clear()
    with pytest.raises(NotOnServerError, match="404"):
        start().run()


@pytest.mark.parametrize("size", [999_999, 1_000_001])
def test_another_size_is_refused_before_the_transfer(start: Start, size: int) -> None:
    with pytest.raises(DownloadError, match=rf"offers 1,000,000 bytes, expected {size:,}"):
        start(size=size).run()
    assert start().present == 0


def test_an_endless_file_is_cut_off(hub: Any, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "MAX_BYTES", 500_000)
    hub.has_lengths = False
    with pytest.raises(DownloadError, match="sends more than 500,000 bytes"):
        start().run()


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/x", "x"])
def test_addresses_of_other_schemes_are_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(DownloadError, match=r"does not begin with https:// or http://"):
        Transfer(address, tmp_path / "part").run()


def test_the_token_is_sent_only_to_its_host(hub: Any, start: Start) -> None:
    start(token="secret").run()  # noqa: S106
    assert hub.requests[-1][2] == "Bearer secret"
    hub.redirect = hub.address
    start(token="secret").run()  # noqa: S106
    assert [authorization for *_, authorization in hub.requests[-2:]] == ["Bearer secret"] * 2
    hub.redirect = hub.address.replace("127.0.0.1", "localhost")
    start(token="secret").run()  # noqa: S106
    assert [authorization for *_, authorization in hub.requests[-2:]] == ["Bearer secret", None]


@pytest.mark.parametrize(
    ("first", "then", "is_followed"),
    [
        ("https://a.example/x", "https://b.example/x", True),
        ("http://a.example/x", "http://b.example/x", True),
        ("http://a.example/x", "https://b.example/x", True),
        ("https://a.example/x", "http://a.example/x", False),
        ("http://a.example/x", "ftp://a.example/x", False),
    ],
)
def test_redirects_do_not_leave_encryption(first: str, then: str, is_followed: bool) -> None:
    """Refuse redirects without encryption, because a file without a published hash could be replaced on its way."""

    def redirect() -> str:
        request = transfer._Redirects().redirect_request(Request(first), BytesIO(), 302, "Found", HTTPMessage(), then)  # noqa: S310
        return "" if request is None else request.full_url

    if is_followed:
        assert redirect() == then
    else:
        with pytest.raises(DownloadError, match=r"redirects to an address without encryption"):
            redirect()
