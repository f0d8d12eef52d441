"""Downloads from a Hub that is played."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

Host = Callable[[str], Any]
NAME, FILE = "retinaface-mobile0.25", "detection_mobilenet0.25_Final.pth"


class SlowHub:
    """Stands in for ``hf_hub_download``: writes half, waits to be told, and ends with a file or an error."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.half_written = threading.Event()
        self.go_on = threading.Event()
        self.calls = 0

    def __call__(self, repo_id: str, filename: str, *, revision: str | None, local_dir: Path) -> str:
        self.calls += 1
        path = local_dir / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 1000)
        self.half_written.set()
        assert self.go_on.wait(10)
        if self.failure:
            raise self.failure
        path.write_bytes(b"y" * 2000)
        return str(path)


@pytest.fixture
def entry(pack: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    manifest = pack("psfr_core.weights.manifest")
    known = manifest.model_file(NAME)
    changed = type(known)(**{**vars(known), "size_bytes": 2000, "sha256": None})
    monkeypatch.setattr(
        manifest, "MODEL_FILES", tuple(changed if file is known else file for file in manifest.MODEL_FILES)
    )
    return changed


def test_a_file_arrives_in_the_folder_other_packs_use_with_progress(
    pack: Any, host: Host, entry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = SlowHub()
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub)
    monkeypatch.setattr(pack("nodes.downloads"), "_POLL_SECONDS", 0.01)

    class Shown(list[tuple[int, int]]):
        def append(self, item: tuple[int, int]) -> None:
            super().append(item)
            if item == (1000, 2000):  # the half that was written is seen before the rest arrives
                hub.go_on.set()

    monkeypatch.setattr(host("comfy.utils"), "shown", shown := Shown())
    kind = pack("psfr_core.weights.manifest").ModelKind.DETECTOR
    path = pack("nodes.model_folders").need_model(NAME, kind, may_download=True)
    assert path == Path(host("folder_paths").models_dir) / "facedetection" / FILE
    assert path.read_bytes() == b"y" * 2000
    assert (1000, 2000) in shown
    assert [file.name for file in path.parent.iterdir()] == [FILE]


def test_cancel_ends_the_wait_and_the_next_run_waits_for_the_same_download(
    pack: Any, host: Host, entry: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub = SlowHub()
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub)
    downloads, management = pack("nodes.downloads"), host("comfy.model_management")
    management.interrupted = True
    with pytest.raises(management.InterruptProcessingException):
        downloads.download(entry, tmp_path)
    assert hub.half_written.wait(10)
    assert not (tmp_path / FILE).exists()
    hub.go_on.set()
    assert downloads.download(entry, tmp_path).read_bytes() == b"y" * 2000
    assert hub.calls == 1


def test_a_failure_says_which_file_from_where_into_which_folder(
    pack: Any, host: Host, entry: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub = SlowHub(OSError("Name or service not known"))
    hub.go_on.set()
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub)
    words = rf"{NAME} could not be downloaded from .*fofr/comfyui: Name or service not known.*put it into {tmp_path}"
    with pytest.raises(pack("psfr_core.errors").DownloadError, match=words):
        pack("nodes.downloads").download(entry, tmp_path)


def test_nothing_is_downloaded_unasked(pack: Any, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = SlowHub()
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub)
    kind = pack("psfr_core.weights.manifest").ModelKind.DETECTOR
    with pytest.raises(pack("psfr_core.errors").ModelNotFoundError, match="Switch on 'download'"):
        pack("nodes.model_folders").need_model(NAME, kind, may_download=False)
    assert hub.calls == 0
