"""Test the downloads of the nodes with a Hugging Face Hub on the loopback interface."""

from __future__ import annotations

import hashlib
import io
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch

Host = Callable[[str], Any]
NAME, FILE = "retinaface-mobile0.25", "detection_mobilenet0.25_Final.pth"
CONTENT = b"the published weights" * 50_000


@pytest.fixture
def entry(pack: Any, hub: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a known model on the Hub, and return its entry in the manifest."""
    manifest = pack("psfr_core.models.manifest")
    known = manifest.model_file(NAME)
    digest = hashlib.sha256(CONTENT).hexdigest()
    changed = type(known)(**{**vars(known), "size_bytes": len(CONTENT), "sha256": digest, "revision": None})
    monkeypatch.setattr(
        manifest, "MODEL_FILES", tuple(changed if file is known else file for file in manifest.MODEL_FILES)
    )
    hub.put("fofr/comfyui", f"facedetection/{FILE}", CONTENT)
    return changed


def test_a_download_shows_progress_and_goes_to_the_folder_of_other_packs(
    pack: Any, host: Host, hub: Any, entry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.allowed.clear()
    monkeypatch.setattr(pack("nodes.downloads"), "_POLL_SECONDS", 0.01)

    class Shown(list[tuple[int, int]]):
        def append(self, item: tuple[int, int]) -> None:
            super().append(item)
            if item == (
                len(CONTENT) // 2,
                len(CONTENT),
            ):  # the progress of the first half is shown before the rest is sent
                hub.allowed.set()

    monkeypatch.setattr(host("comfy.utils"), "shown", shown := Shown())
    kind = pack("psfr_core.models.manifest").ModelKind.DETECTOR
    path = pack("nodes.model_folders").locate_model(NAME, kind, may_download=True)
    assert path == Path(host("folder_paths").models_dir) / "facedetection" / FILE
    assert path.read_bytes() == CONTENT
    assert (len(CONTENT) // 2, len(CONTENT)) in shown
    assert [file.name for file in path.parent.iterdir()] == [FILE]


def test_cancel_stops_a_download_immediately_and_the_next_run_resumes_it(
    pack: Any, host: Host, hub: Any, entry: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.allowed.clear()  # the server stalls after the first half
    downloads, management = pack("nodes.downloads"), host("comfy.model_management")
    monkeypatch.setattr(downloads, "_POLL_SECONDS", 0.01)

    class Shown(list[tuple[int, int]]):
        def append(self, item: tuple[int, int]) -> None:
            super().append(item)
            management.interrupted = item[0] == len(CONTENT) // 2

    monkeypatch.setattr(host("comfy.utils"), "shown", Shown())
    with pytest.raises(management.InterruptProcessingException):
        downloads.download(entry, tmp_path)
    (thread,) = (thread for thread in threading.enumerate() if thread.name == f"download of {NAME}")
    assert thread.is_alive()  # Cancel did not wait for the server
    hub.allowed.set()
    thread.join(10)
    assert not thread.is_alive()
    assert not (tmp_path / FILE).exists()
    management.interrupted = False
    assert downloads.download(entry, tmp_path).read_bytes() == CONTENT
    assert len(hub.requests) == 2
    assert int(hub.requests[1][1].removeprefix("bytes=").removesuffix("-")) >= len(CONTENT) // 2 - 1


def test_a_failure_names_file_address_and_folder(pack: Any, hub: Any, entry: Any, tmp_path: Path) -> None:
    hub.failures = [(401, {"X-Error-Message": "Invalid credentials"})]
    words = rf"{NAME} could not be downloaded: .*Invalid credentials\) \({hub.address}/fofr/comfyui\).*put it into {tmp_path}"
    with pytest.raises(pack("psfr_core.errors").DownloadError, match=words):
        pack("nodes.downloads").download(entry, tmp_path)


def test_nothing_is_downloaded_without_permission(pack: Any, host: Host, hub: Any) -> None:
    kind = pack("psfr_core.models.manifest").ModelKind.DETECTOR
    with pytest.raises(pack("psfr_core.errors").ModelNotFoundError, match="switch on 'download'"):
        pack("nodes.model_folders").locate_model(NAME, kind, may_download=False)
    assert hub.requests == []


@pytest.fixture
def release(pack: Any, hub: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Serve a small network from the local server as the published generator, and return its entry in the manifest."""
    network = pack("psfr_core.networks.psfr_generator")
    torch.save(network.PsfrGenerator(network.GeneratorConfig((6, 4), 2)).state_dict(), file := io.BytesIO())
    hub.files["/release/psfrgan_epoch15_net_G.pth"] = file.getvalue()
    manifest = pack("psfr_core.models.manifest")
    known = manifest.model_file("psfrgan-512")
    changed = replace(known, url=f"{hub.address}/release/{known.file_name}")
    entries = tuple(changed if file is known else file for file in manifest.MODEL_FILES)
    monkeypatch.setattr(manifest, "MODEL_FILES", entries)
    return changed


def test_the_switch_fetches_the_published_generator_from_its_release(
    pack: Any, run: Any, host: Host, hub: Any, release: Any, caplog: pytest.LogCaptureFixture
) -> None:
    model_choices = pack("nodes.model_folders").model_choices
    with caplog.at_level(logging.INFO):
        hosted = run("PSFR_LoadGenerator", generator="psfrgan-512", download=True).args[0]
    assert hosted.network.config.size == 32
    folder = Path(host("folder_paths").models_dir) / "psfrgan"
    expected = ["psfrgan_epoch15_net_G.pth.sha256", "psfrgan_epoch15_net_G.safetensors"]
    assert sorted(file.name for file in folder.iterdir()) == expected
    published, copy = release.file_name, expected[1]
    assert {published, copy} <= set(model_choices(pack("psfr_core.models.manifest").ModelKind.GENERATOR))
    again = run("PSFR_LoadGenerator", generator=published).args[0]  # saved workflows contain this name
    assert again.network.config.size == 32
    assert f"from {release.url} are in {folder / expected[1]}. License: CC-BY-NC-SA-4.0." in caplog.text
    run("PSFR_LoadGenerator", generator="psfrgan-512", download=True)
    assert len(hub.requests) == 1


def test_the_published_preset_fails_immediately_without_a_network(
    pack: Any, run: Any, monkeypatch: pytest.MonkeyPatch, release: Any, hub: Any
) -> None:
    """Test that only the first model is tried, and only once, because each attempt can wait for a network timeout."""
    tried: list[str] = []
    transfer = pack("psfr_core.models.transfer")

    def receive(self: Any) -> None:
        tried.append(self.url)
        raise URLError("Network is unreachable")

    monkeypatch.setattr(transfer.Transfer, "_receive", receive)
    monkeypatch.setattr(transfer.Transfer, "_wait", lambda *_: pytest.fail("it waits"))
    with pytest.raises(pack("psfr_core.errors").ModelNotFoundError) as missing:
        run("PSFR_LoadModels", preset="published 512", download=True)
    assert tried == [release.url]
    generator, parser, detector = str(missing.value).split("\n\n")
    assert "psfrgan-512 could not be downloaded: Network is unreachable" in generator
    assert "parsenet-512 is not on this machine" in parser
    assert "retinaface-resnet50 is not on this machine" in detector
    assert "switch on" not in str(missing.value)  # 'download' is already on
