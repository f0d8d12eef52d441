"""Test downloads of known models from a local Hub."""

from __future__ import annotations

import importlib
import io
import logging
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from psfr_core.errors import DownloadError, ModelNotFoundError
from psfr_core.models.download import download_model
from psfr_core.models.library import ModelLibrary, default_model_folder
from psfr_core.models.manifest import ModelFile, model_file
from psfr_core.networks.parse_net import ParseNet
from psfr_core.networks.psfr_generator import PsfrGenerator

MOBILE = "retinaface-mobile0.25"
MOBILE_FILE = "detection_mobilenet0.25_Final.pth"
CONTENT = b"the published weights" * 100_000
GENERATOR_FILES = ["psfrgan_epoch15_net_G.pth", "psfrgan_epoch15_net_G.safetensors"]


@pytest.fixture
def generator_bytes(generator: PsfrGenerator) -> bytes:
    return save(generator.state_dict())


@pytest.fixture
def mobile(hub: Any, publish_as: Any) -> Any:
    """Return a known model that is on the Hub and is checked only by its hash."""
    hub.put("fofr/comfyui", "facedetection/" + MOBILE_FILE, CONTENT, "abc123")
    return publish_as(MOBILE, CONTENT, revision="abc123")


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def stop(done: int, _: int) -> None:
    if done > 100_000:
        raise KeyboardInterrupt


def test_a_download_is_pinned_checked_and_renamed(tmp_path: Path, hub: Any, mobile: Any) -> None:
    path = download_model(mobile, tmp_path / "models")
    assert [request[0] for request in hub.requests] == [f"/fofr/comfyui/resolve/abc123/facedetection/{MOBILE_FILE}"]
    assert path == tmp_path / "models" / MOBILE_FILE
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


def test_a_present_file_is_not_downloaded_again(tmp_path: Path, hub: Any, mobile: Any) -> None:
    (tmp_path / MOBILE_FILE).write_bytes(CONTENT)
    assert download_model(mobile, tmp_path) == tmp_path / MOBILE_FILE
    assert hub.requests == []


def test_a_file_of_the_user_is_not_overwritten(tmp_path: Path, hub: Any) -> None:
    (tmp_path / MOBILE_FILE).write_bytes(b"my own")
    with pytest.raises(
        DownloadError, match=r"is already there but cannot be used as retinaface.*SHA-256.*Move it away"
    ):
        download_model(model_file(MOBILE), tmp_path)
    assert hub.requests == []
    assert (tmp_path / MOBILE_FILE).read_bytes() == b"my own"


def test_a_wrong_file_is_deleted(tmp_path: Path, hub: Any, mobile: Any) -> None:
    hub.put("fofr/comfyui", "facedetection/" + MOBILE_FILE, CONTENT[::-1], "abc123")
    with pytest.raises(
        DownloadError, match=rf"the downloaded file was deleted: .*SHA-256 [0-9a-f]{{64}}, expected {mobile.sha256}"
    ):
        download_model(mobile, tmp_path)
    assert not list(tmp_path.rglob("*.part"))
    hub.put("fofr/comfyui", "facedetection/" + MOBILE_FILE, CONTENT, "abc123")
    assert download_model(mobile, tmp_path).read_bytes() == CONTENT


def test_a_failure_names_file_folder_and_addresses(tmp_path: Path, hub: Any, mobile: Any) -> None:
    hub.failures = [(403, {"X-Error-Message": "gated"})]
    with pytest.raises(DownloadError) as failure:
        download_model(mobile, tmp_path)
    message = str(failure.value)
    assert (
        f"could not be downloaded: the server answers 403 Forbidden (gated) ({hub.address}/fofr/comfyui). " in message
    )
    assert f"download {MOBILE_FILE} from {hub.address}/fofr/comfyui/resolve/abc123/" in message
    assert all(address in message for address in mobile.addresses)
    assert f"put it into {tmp_path}." in message


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/", "ftp://nowhere", "nonsense", "http://[", "http://127.0.0.1:x"]
)
def test_an_endpoint_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    importlib.import_module("huggingface_hub.file_download")  # cannot be imported while HF_ENDPOINT is invalid
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(DownloadError, match=r"could not be downloaded: .*/fofr/comfyui\). Alternatively, ") as failure:
        download_model(model_file(MOBILE), tmp_path)
    assert f" ({address.rstrip('/')}/fofr" in str(failure.value)
    assert "huggingface.co" not in str(failure.value)


def test_an_interrupted_download_leaves_no_weight_file_and_resumes(tmp_path: Path, hub: Any, mobile: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        download_model(mobile, tmp_path, progress=stop)
    assert not any(path.suffix in (".pth", ".pt", ".safetensors") for path in files_in(tmp_path))
    assert download_model(mobile, tmp_path).read_bytes() == CONTENT
    assert int(hub.requests[-1][1].removeprefix("bytes=").removesuffix("-")) >= 100_000
    assert files_in(tmp_path) == [tmp_path / MOBILE_FILE]


def test_errors_of_the_progress_function_are_raised(tmp_path: Path, mobile: Any) -> None:
    class Cancelled(Exception):  # noqa: N818
        pass

    def cancel(*_: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        download_model(mobile, tmp_path, progress=cancel)


def test_offline_mode_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Any) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        DownloadError, match=r"(?i)offline.*Alternatively, download detection_mobilenet0\.25_Final\.pth"
    ):
        download_model(model_file(MOBILE), tmp_path)
    assert hub.requests == []


@pytest.mark.parametrize("file_name", GENERATOR_FILES)
def test_a_repository_of_the_user_can_be_used(tmp_path: Path, hub: Any, file_name: str, generator_bytes: bytes) -> None:
    hub.put("me/mine", file_name, generator_bytes)
    path = download_model(model_file("psfrgan-512"), tmp_path, repo_id="me/mine")
    assert path == tmp_path / "psfrgan_epoch15_net_G.safetensors"
    assert (path.read_bytes() == generator_bytes) == (file_name == path.name)
    assert hub.requests[-1][0] == f"/me/mine/resolve/main/{file_name}"
    assert download_model(model_file("psfrgan-512"), tmp_path) == path
    assert sorted(files_in(tmp_path)) == sorted([path, tmp_path / f"{file_name}.sha256"])


def not_a_generator(kind: str, generator_bytes: bytes, parse_net: ParseNet) -> bytes:
    damaged = io.BytesIO()
    torch.save({"const_input": torch.zeros(1, 4, 16, 16)}, damaged)
    contents = {
        "web page": b"<!DOCTYPE html><html>Sign in</html>",
        "empty": b"",
        "zeros": bytes(100_000),
        "half": generator_bytes[:-100],
        "incomplete": damaged.getvalue(),
        "parser": save(parse_net.state_dict()),
    }
    return contents[kind]


@pytest.mark.parametrize("file_name", GENERATOR_FILES)
@pytest.mark.parametrize("kind", ["web page", "empty", "zeros", "half", "incomplete", "parser"])
def test_a_model_without_a_known_hash_must_load(
    tmp_path: Path, hub: Any, file_name: str, kind: str, generator_bytes: bytes, parse_net: ParseNet
) -> None:
    content = not_a_generator(kind, generator_bytes, parse_net)
    hub.put("me/mine", file_name, content)
    with pytest.raises(DownloadError, match="the downloaded file was deleted: "):
        download_model(model_file("psfrgan-512"), tmp_path, repo_id="me/mine")
    assert not list(tmp_path.rglob(f"{file_name}*"))  # neither the file nor its stored hash
    (tmp_path / file_name).write_bytes(content)
    with pytest.raises(DownloadError, match=r"is already there but cannot be used as psfrgan-512: .*Move it away"):
        download_model(model_file("psfrgan-512"), tmp_path, repo_id="me/mine")
    assert (tmp_path / file_name).read_bytes() == content


def test_a_repository_without_the_file_is_named(tmp_path: Path, hub: Any) -> None:
    hub.put("me/mine", "other.pth", b"")
    words = (
        r"there is no psfrgan_epoch15_net_G\.safetensors or psfrgan_epoch15_net_G\.pth in .*/me/mine\. Alternatively"
    )
    with pytest.raises(DownloadError, match=words) as failure:
        download_model(model_file("psfrgan-512"), tmp_path, repo_id="me/mine")
    for address in (
        f"{hub.address}/me/mine/resolve/main/psfrgan_epoch15_net_G.safetensors",
        f"{hub.address}/me/mine/resolve/main/psfrgan_epoch15_net_G.pth",
        *model_file("psfrgan-512").addresses,
    ):
        assert address in str(failure.value)


@pytest.mark.parametrize("repo_id", ["../..", "a/b/c", "a b", ""])
def test_invalid_repository_names_are_refused(tmp_path: Path, hub: Any, repo_id: str) -> None:
    with pytest.raises(DownloadError, match="psfrgan-512 could not be downloaded"):
        download_model(model_file("psfrgan-512"), tmp_path, repo_id=repo_id)
    assert files_in(tmp_path) == [] or not any(path.suffix == ".part" for path in files_in(tmp_path))


def test_bundled_models_are_not_downloaded(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="compact-face ships with this package"):
        download_model(model_file("compact-face"), tmp_path)


def test_loaders_download_only_when_allowed(
    hub: Any, mobile: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ModelNotFoundError, match="is not on this machine"):
        ModelLibrary().locate(MOBILE)
    assert hub.requests == []

    def fetch(entry: ModelFile) -> Path:
        return download_model(entry, default_model_folder())

    with caplog.at_level(logging.INFO):
        downloaded = ModelLibrary(fetch=fetch).locate(MOBILE)
    assert downloaded == default_model_folder() / MOBILE_FILE
    assert f"{MOBILE}: 100 % of 2.1 MB" in caplog.text
    shutil.copy(downloaded, tmp_path)
    assert ModelLibrary([tmp_path], fetch).locate(MOBILE).parent == tmp_path
    assert len(hub.requests) == 1


def test_the_second_of_two_simultaneous_downloads_waits(
    tmp_path: Path, hub: Any, mobile: Any, caplog: pytest.LogCaptureFixture
) -> None:
    hub.allowed.clear()
    with ThreadPoolExecutor(2) as pool, caplog.at_level(logging.WARNING):
        first = pool.submit(download_model, mobile, tmp_path)
        assert hub.half_sent.wait(5)
        waits = threading.Event()
        second = pool.submit(download_model, mobile, tmp_path, progress=lambda *_: waits.set())
        assert waits.wait(5)
        hub.allowed.set()
        assert first.result(5) == second.result(5) == tmp_path / MOBILE_FILE
    assert len(hub.requests) == 1
    assert f"Another download of {MOBILE} into {tmp_path} is running" in caplog.text
    assert files_in(tmp_path) == [tmp_path / MOBILE_FILE]


def test_the_wait_for_another_download_can_be_stopped(tmp_path: Path, hub: Any, mobile: Any) -> None:
    def cancel(*_: int) -> None:
        raise KeyboardInterrupt

    hub.allowed.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(download_model, mobile, tmp_path)
        assert hub.half_sent.wait(5)
        with pytest.raises(KeyboardInterrupt):
            download_model(mobile, tmp_path, progress=cancel)
        hub.allowed.set()
        assert first.result(5).read_bytes() == CONTENT


def test_simultaneous_downloads_of_two_models_succeed(
    tmp_path: Path, hub: Any, mobile: Any, generator_bytes: bytes
) -> None:
    hub.put("me/mine", GENERATOR_FILES[0], generator_bytes)
    with ThreadPoolExecutor(8) as pool:
        detectors = [pool.submit(download_model, mobile, tmp_path) for _ in range(4)]
        generators = [
            pool.submit(download_model, model_file("psfrgan-512"), tmp_path, repo_id="me/mine") for _ in range(4)
        ]
        assert {future.result(20) for future in detectors} == {tmp_path / MOBILE_FILE}
        assert {future.result(20) for future in generators} == {tmp_path / GENERATOR_FILES[1]}
    expected = [MOBILE_FILE, GENERATOR_FILES[1], f"{GENERATOR_FILES[0]}.sha256"]
    assert sorted(path.name for path in files_in(tmp_path)) == sorted(expected)
