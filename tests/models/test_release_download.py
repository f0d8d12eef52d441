"""Test downloads of a model without a published hash from its official release, which a local server imitates."""

from __future__ import annotations

import hashlib
import io
import logging
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from psfr_core.errors import DownloadError
from psfr_core.models import installation
from psfr_core.models.download import download_model
from psfr_core.models.hash_pin import pinned_hash
from psfr_core.models.library import ModelLibrary
from psfr_core.models.loader import load_generator
from psfr_core.models.manifest import ModelFile, model_file
from psfr_core.models.metadata import read_metadata
from psfr_core.networks.parse_net import ParseNet
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator

FILE = "psfrgan_epoch15_net_G.pth"
ADDRESS = f"/psfrgan/releases/download/v0.1.0/{FILE}"


def saved(network: torch.nn.Module) -> bytes:
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    return file.getvalue()


@pytest.fixture
def published(normalized_generator: PsfrGenerator) -> bytes:
    """Return a .pth file with spectral normalization, like the published file."""
    return saved(normalized_generator)


@pytest.fixture
def entry(hub: Any, published: bytes) -> ModelFile:
    """Return the published generator with the address of a release on the local server."""
    hub.files[ADDRESS] = published
    return replace(model_file("psfrgan-512"), url=hub.address + ADDRESS, page=f"{hub.address}/psfrgan/releases")


def test_the_release_is_downloaded_checked_recorded_and_converted(
    tmp_path: Path,
    hub: Any,
    entry: ModelFile,
    published: bytes,
    normalized_generator: PsfrGenerator,
    generate: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        path = download_model(entry, tmp_path / "psfrgan")
    assert [request[0] for request in hub.requests] == [ADDRESS]
    digest = hashlib.sha256(published).hexdigest()
    assert sorted(file.name for file in path.parent.iterdir()) == [
        f"{FILE}.sha256",
        "psfrgan_epoch15_net_G.safetensors",
    ]
    assert (
        f"psfrgan-512: {len(published):,} bytes (SHA-256 {digest}) from {entry.url} are in {path}. License: CC-BY-NC-SA-4.0."
        in caplog.text
    )
    metadata = read_metadata(path)
    assert metadata is not None
    assert (metadata.architecture, metadata.licence) == ("psfr_generator", "CC-BY-NC-SA-4.0")
    assert metadata.source == f"{FILE}, {entry.url}, SHA-256 {digest}"
    torch.testing.assert_close(generate(load_generator(path)), generate(normalized_generator), atol=1e-5, rtol=1e-5)
    assert ModelLibrary([path.parent]).find(entry) == path
    assert download_model(entry, path.parent) == path
    assert len(hub.requests) == 1


def test_an_interrupted_download_resumes(tmp_path: Path, hub: Any, entry: ModelFile, published: bytes) -> None:
    hub.cut = [len(published) // 2]

    def stop(done: int, _: int) -> None:
        if done >= len(published) // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download_model(entry, tmp_path, progress=stop)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.suffix for path in left} <= {".part", ".version", ".lock"}
    assert pinned_hash(tmp_path / FILE) is None
    download_model(entry, tmp_path)
    assert hub.requests[-1][1] == f"bytes={len(published) // 2 - 1}-"
    assert pinned_hash(tmp_path / FILE) == hashlib.sha256(published).hexdigest()


def test_the_first_hash_is_recorded_and_another_gives_a_warning(
    tmp_path: Path, hub: Any, entry: ModelFile, published: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    another = PsfrGenerator(GeneratorConfig((6, 4), modulation_channels=2))
    first, other = hashlib.sha256(published).hexdigest(), saved(another)
    with caplog.at_level(logging.WARNING):
        download_model(entry, tmp_path).unlink()
        download_model(entry, tmp_path).unlink()
    assert caplog.text == ""
    hub.files[ADDRESS] = other
    with caplog.at_level(logging.WARNING):
        path = download_model(entry, tmp_path)
    found = hashlib.sha256(other).hexdigest()
    assert f"has the SHA-256 {found}, but the first download of {FILE} had {first}" in caplog.text
    assert len(caplog.records) == 1
    assert pinned_hash(tmp_path / FILE) == first
    assert load_generator(path).config == another.config


def test_a_file_added_by_hand_is_compared_with_the_recorded_hash(
    tmp_path: Path, entry: ModelFile, published: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    download_model(entry, tmp_path)
    (tmp_path / FILE).write_bytes(published)
    with caplog.at_level(logging.WARNING):
        assert ModelLibrary([tmp_path]).locate("psfrgan-512") == tmp_path / FILE
    assert caplog.text == ""
    (tmp_path / FILE).write_bytes(published + b"x")
    with caplog.at_level(logging.WARNING):
        ModelLibrary([tmp_path]).locate("psfrgan-512")
    assert f"expected {hashlib.sha256(published).hexdigest()}" in caplog.text


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_sha256sum_reads_the_recorded_hash(tmp_path: Path, entry: ModelFile, published: bytes) -> None:
    download_model(entry, tmp_path)
    (tmp_path / FILE).write_bytes(published)
    done = subprocess.run(  # noqa: S603
        ["sha256sum", "--check", "--strict", f"{FILE}.sha256"],  # noqa: S607
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{FILE}: OK\n"


@pytest.mark.parametrize("note", [b"", b"\xff\xfe", b"no hash", b"abc  " + FILE.encode()])
def test_a_damaged_record_is_replaced(tmp_path: Path, entry: ModelFile, published: bytes, note: bytes) -> None:
    (tmp_path / f"{FILE}.sha256").write_bytes(note)
    download_model(entry, tmp_path)
    assert pinned_hash(tmp_path / FILE) == hashlib.sha256(published).hexdigest()


@pytest.mark.parametrize("has_type", [True, False])
def test_a_web_page_is_refused(tmp_path: Path, hub: Any, entry: ModelFile, has_type: bool) -> None:
    page = b"<!DOCTYPE html><html>Sign in</html>"
    hub.files[ADDRESS] = page
    if has_type:
        hub.failures = [(200, {"Content-Type": "text/html; charset=utf-8", "Content-Length": "0"})]
    with pytest.raises(
        DownloadError, match=r"web page.*Alternatively, download psfrgan_epoch15_net_G\.pth from http.*/releases"
    ):
        download_model(entry, tmp_path)
    assert not list(tmp_path.rglob("*.pth*"))


def test_another_network_is_refused(tmp_path: Path, hub: Any, entry: ModelFile, parse_net: ParseNet) -> None:
    hub.files[ADDRESS] = saved(parse_net)
    with pytest.raises(DownloadError, match=r"the downloaded file was deleted: .* is a face parsing network"):
        download_model(entry, tmp_path)
    assert not list(tmp_path.rglob("*.pth*"))


def test_the_token_is_sent_only_to_the_hub(
    tmp_path: Path, hub: Any, entry: ModelFile, monkeypatch: pytest.MonkeyPatch, generator: PsfrGenerator
) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "secret")
    download_model(entry, tmp_path / "a")
    hub.put("me/mine", "psfrgan_epoch15_net_G.safetensors", save(generator.state_dict()))
    download_model(entry, tmp_path / "b", repo_id="me/mine")
    assert [authorization for *_, authorization in hub.requests] == [None, "Bearer secret"]


def test_the_release_replaces_a_copy_missing_on_the_hub(tmp_path: Path, hub: Any, publish_as: Any) -> None:
    content = b"the published weights" * 1000
    hub.files["/facexlib/detector.pth"] = content
    known = publish_as("retinaface-mobile0.25", content, url=f"{hub.address}/facexlib/detector.pth")
    path = download_model(known, tmp_path)
    assert path.read_bytes() == content
    assert [request[0].split("/")[1] for request in hub.requests] == ["fofr", "facexlib"]
    # The hash of the file is published, so it is not stored.
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == [path.name]


def test_a_file_that_cannot_be_converted_is_kept(
    tmp_path: Path,
    entry: ModelFile,
    published: bytes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(installation, "write_weights", fail)
    with caplog.at_level(logging.WARNING):
        path = download_model(entry, tmp_path)
    assert path.read_bytes() == published
    assert "could not be converted to safetensors and is used as it is: [Errno 28] No space left" in caplog.text


def test_offline_downloads_fail_at_once(
    tmp_path: Path, hub: Any, entry: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("it waits"))
    with monkeypatch.context() as offline:
        offline.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(DownloadError, match="HF_HUB_OFFLINE is set, which forbids downloads"):
            download_model(entry, tmp_path)
    assert hub.requests == []
    unreachable = replace(entry, url="http://127.0.0.1:9/file.pth")
    with pytest.raises(DownloadError, match=r"refused.* Alternatively, download psfrgan_epoch15_net_G\.pth"):
        download_model(unreachable, tmp_path)


def test_the_waiting_time_of_the_server_is_reported(tmp_path: Path, hub: Any, entry: ModelFile) -> None:
    hub.failures = [(429, {"Retry-After": "600"})]
    with pytest.raises(DownloadError, match=r"answers 429 Too Many Requests: it asks to try again in 600 seconds"):
        download_model(entry, tmp_path)


def test_only_one_of_several_simultaneous_downloads_runs(tmp_path: Path, hub: Any, entry: ModelFile) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = [pool.submit(download_model, entry, tmp_path) for _ in range(4)]
        assert {future.result(20) for future in paths} == {tmp_path / "psfrgan_epoch15_net_G.safetensors"}
    assert len(hub.requests) == 1
