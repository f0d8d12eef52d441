"""Downloads from a Hub on loopback."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Host = Callable[[str], Any]
NAME, FILE = "retinaface-mobile0.25", "detection_mobilenet0.25_Final.pth"
CONTENT = b"the published weights" * 50_000


@pytest.fixture
def entry(pack: Any, hub: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A known model, which the hub has."""
    manifest = pack("psfr_core.models.manifest")
    known = manifest.model_file(NAME)
    digest = hashlib.sha256(CONTENT).hexdigest()
    changed = type(known)(**{**vars(known), "size_bytes": len(CONTENT), "sha256": digest, "revision": None})
    monkeypatch.setattr(
        manifest, "MODEL_FILES", tuple(changed if file is known else file for file in manifest.MODEL_FILES)
    )
    hub.put("fofr/comfyui", f"facedetection/{FILE}", CONTENT)
    return changed


def test_a_file_arrives_in_the_folder_other_packs_use_with_progress(
    pack: Any, host: Host, hub: Any, entry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.allowed.clear()
    monkeypatch.setattr(pack("nodes.downloads"), "_POLL_SECONDS", 0.01)

    class Shown(list[tuple[int, int]]):
        def append(self, item: tuple[int, int]) -> None:
            super().append(item)
            if item == (len(CONTENT) // 2, len(CONTENT)):  # the half that was sent is seen before the rest arrives
                hub.allowed.set()

    monkeypatch.setattr(host("comfy.utils"), "shown", shown := Shown())
    kind = pack("psfr_core.models.manifest").ModelKind.DETECTOR
    path = pack("nodes.model_folders").locate_model(NAME, kind, may_download=True)
    assert path == Path(host("folder_paths").models_dir) / "facedetection" / FILE
    assert path.read_bytes() == CONTENT
    assert (len(CONTENT) // 2, len(CONTENT)) in shown
    assert [file.name for file in path.parent.iterdir()] == [FILE]


def test_cancel_ends_the_wait_and_the_next_run_waits_for_the_same_download(
    pack: Any, host: Host, hub: Any, entry: Any, tmp_path: Path
) -> None:
    hub.allowed.clear()
    downloads, management = pack("nodes.downloads"), host("comfy.model_management")
    management.interrupted = True
    with pytest.raises(management.InterruptProcessingException):
        downloads.download(entry, tmp_path)
    assert hub.half_sent.wait(10)
    assert not (tmp_path / FILE).exists()
    hub.allowed.set()
    assert downloads.download(entry, tmp_path).read_bytes() == CONTENT
    assert len(hub.requests) == 1


def test_a_failure_says_which_file_from_where_into_which_folder(
    pack: Any, hub: Any, entry: Any, tmp_path: Path
) -> None:
    hub.failures = [(401, {"X-Error-Message": "Invalid credentials"})]
    words = rf"{NAME} could not be downloaded from {hub.address}/fofr/comfyui: .*Invalid credentials.*put it into {tmp_path}"
    with pytest.raises(pack("psfr_core.errors").DownloadError, match=words):
        pack("nodes.downloads").download(entry, tmp_path)


def test_nothing_is_downloaded_unasked(pack: Any, host: Host, hub: Any) -> None:
    kind = pack("psfr_core.models.manifest").ModelKind.DETECTOR
    with pytest.raises(pack("psfr_core.errors").ModelNotFoundError, match="switch on 'download'"):
        pack("nodes.model_folders").locate_model(NAME, kind, may_download=False)
    assert hub.requests == []
