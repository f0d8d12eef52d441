"""Downloads, with a Hub that is played."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import EntryNotFoundError

from psfr_core.errors import DownloadError
from psfr_core.weights.folders import default_model_folder
from psfr_core.weights.hub import download_model
from psfr_core.weights.locate import locate_model
from psfr_core.weights.manifest import ModelKind, model_file

MOBILE = "retinaface-mobile0.25"
MOBILE_FILE = "detection_mobilenet0.25_Final.pth"
CONTENT = b"the published weights"


class PlayedHub:
    """Stands in for ``hf_hub_download``: holds some files, and remembers what was asked for."""

    def __init__(self, files: dict[str, bytes], failure: BaseException | None = None) -> None:
        self.files = files
        self.failure = failure
        self.calls: list[tuple[str, str, str | None]] = []
        self.folders: list[Path] = []

    def __call__(self, repo_id: str, filename: str, *, revision: str | None, local_dir: Path) -> str:
        self.calls.append((repo_id, filename, revision))
        self.folders.append(local_dir)
        path = local_dir / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.failure:
            path.with_suffix(".incomplete").write_bytes(b"half of it")
            raise self.failure
        if filename not in self.files:
            raise EntryNotFoundError("404")
        path.write_bytes(self.files[filename])
        return str(path)


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[..., PlayedHub]:
    def start(files: dict[str, bytes] | None = None, failure: BaseException | None = None) -> PlayedHub:
        hub = PlayedHub(files or {}, failure)
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub)
        return hub

    return start


def test_a_download_is_pinned_checked_and_renamed(tmp_path: Path, play: Any, publish_as: Any) -> None:
    entry = publish_as(MOBILE, CONTENT, revision="abc123")
    hub = play({"facedetection/" + MOBILE_FILE: CONTENT})
    path = download_model(entry, tmp_path / "models")
    assert hub.calls == [("fofr/comfyui", "facedetection/" + MOBILE_FILE, "abc123")]
    assert path == tmp_path / "models" / MOBILE_FILE
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == [MOBILE_FILE]


def test_what_is_there_is_not_downloaded_again(tmp_path: Path, play: Any, publish_as: Any) -> None:
    entry = publish_as(MOBILE, CONTENT)
    hub = play()
    (tmp_path / MOBILE_FILE).write_bytes(CONTENT)
    assert download_model(entry, tmp_path) == tmp_path / MOBILE_FILE
    assert hub.calls == []


def test_a_file_of_the_users_is_not_overwritten(tmp_path: Path, play: Any) -> None:
    hub = play()
    (tmp_path / MOBILE_FILE).write_bytes(b"my own")
    with pytest.raises(DownloadError, match=r"is already there but is not the published file.*Move it away"):
        download_model(model_file(MOBILE), tmp_path)
    assert hub.calls == []
    assert (tmp_path / MOBILE_FILE).read_bytes() == b"my own"


def test_a_wrong_file_is_deleted(tmp_path: Path, play: Any) -> None:
    play({"facedetection/" + MOBILE_FILE: b"something else"})
    with pytest.raises(DownloadError, match=r"SHA-256 [0-9a-f]{64}, expected 2979b33f.*it was deleted"):
        download_model(model_file(MOBILE), tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_failure_names_file_folder_and_addresses(tmp_path: Path, play: Any) -> None:
    play(failure=ConnectionError("no route to host"))
    with pytest.raises(DownloadError) as failure:
        download_model(model_file(MOBILE), tmp_path)
    message = str(failure.value)
    assert "no route to host" in message
    assert f"Download {MOBILE_FILE} from " in message
    assert all(address in message for address in model_file(MOBILE).addresses)
    assert f"put it into {tmp_path}." in message


@pytest.mark.parametrize("failure", [ConnectionError("lost"), KeyboardInterrupt()])
def test_an_interrupted_download_leaves_nothing_loadable_and_goes_on(
    tmp_path: Path, play: Any, publish_as: Any, failure: BaseException
) -> None:
    entry = publish_as(MOBILE, CONTENT)
    interrupted = play(failure=failure)
    with pytest.raises((DownloadError, KeyboardInterrupt)):
        download_model(entry, tmp_path)
    assert not (tmp_path / MOBILE_FILE).exists()
    assert [path.read_bytes() for path in tmp_path.rglob("*.incomplete")] == [b"half of it"]
    resumed = play({"facedetection/" + MOBILE_FILE: CONTENT})
    assert download_model(entry, tmp_path).read_bytes() == CONTENT
    assert resumed.folders == interrupted.folders
    assert list(tmp_path.rglob("*.incomplete")) == []


def test_offline_mode_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match=r"(?i)offline.*By hand: Download detection_mobilenet0\.25_Final\.pth"):
        download_model(model_file(MOBILE), tmp_path)


def test_the_published_generator_needs_a_repository(tmp_path: Path, play: Any) -> None:
    hub = play()
    with pytest.raises(DownloadError, match=r"No copy of psfrgan-512.*PSFRGAN/releases/tag/v0\.1\.0.*--repo-id OWNER"):
        download_model(model_file("psfrgan-512"), tmp_path)
    assert hub.calls == []


@pytest.mark.parametrize("file_name", ["psfrgan_epoch15_net_G.pth", "psfrgan_epoch15_net_G.safetensors"])
def test_a_repository_of_the_users(tmp_path: Path, play: Any, file_name: str) -> None:
    hub = play({file_name: CONTENT})
    path = download_model(model_file("psfrgan-512"), tmp_path, repo_id="me/mine")
    assert path == tmp_path / file_name
    assert hub.calls[-1] == ("me/mine", file_name, None)


def test_a_repository_without_the_file(tmp_path: Path, play: Any) -> None:
    play({"other.pth": CONTENT})
    with pytest.raises(
        DownloadError, match=r"me/mine: the repository has none of: psfrgan_epoch15_net_G\.safetensors"
    ) as failure:
        download_model(model_file("psfrgan-512"), tmp_path, repo_id="me/mine")
    for address in (
        "https://huggingface.co/me/mine/resolve/main/psfrgan_epoch15_net_G.safetensors",
        "https://huggingface.co/me/mine/resolve/main/psfrgan_epoch15_net_G.pth",
        *model_file("psfrgan-512").addresses,
    ):
        assert address in str(failure.value)


def test_bundled_models_are_not_downloaded(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="compact-face ships with this package"):
        download_model(model_file("compact-face"), tmp_path)


def test_loaders_download_only_when_allowed(play: Any, publish_as: Any, tmp_path: Path) -> None:
    publish_as(MOBILE, CONTENT)
    hub = play({"facedetection/" + MOBILE_FILE: CONTENT})
    with pytest.raises(Exception, match="is not on this machine"):
        locate_model(MOBILE, ModelKind.DETECTOR)
    assert hub.calls == []
    downloaded = locate_model(MOBILE, ModelKind.DETECTOR, download=True)
    assert downloaded == default_model_folder() / MOBILE_FILE
    shutil.copy(downloaded, tmp_path)
    assert locate_model(MOBILE, ModelKind.DETECTOR, folders=[tmp_path], download=True).parent == tmp_path
    assert len(hub.calls) == 1
