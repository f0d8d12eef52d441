"""Test atomic writes, reads and hashes of files."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from psfr_core.files import atomic_write, read_json, read_regular_file, sha256_of


def test_new_content_replaces_old_content(tmp_path: Path) -> None:
    for content in (b"first", b"second, longer"):
        atomic_write(tmp_path / "a", content)
        assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", content)]


def test_full_disk_keeps_the_old_content_and_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_half(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(OSError, match="No space left"):
        atomic_write(tmp_path / "a", b"new content")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]


KILLED = """
import os, signal, sys
from pathlib import Path
from psfr_core.files import atomic_path

with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell whether a process has ended")
def test_next_run_removes_temporary_files_of_killed_processes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a")], check=False)  # noqa: S603
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".psfr-")
    _, host, process, name = left.name.split("-")
    others = {
        f".psfr-{host}-{os.getpid()}-{name}": 0,  # may belong to another thread
        f".psfr-00000000-{process}-{name}": 0,  # may belong to another machine that shares the disk
        f".psfr-11111111-{process}-{name}": 7200,
        ".psfr-notes.tmp": 7200,  # not a temporary file of this library
    }
    for other, age in others.items():
        (tmp_path / other).touch()
        os.utime(tmp_path / other, (time.time() - age, time.time() - age))
    atomic_write(tmp_path / "b", b"content")
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {"b", *others} - {f".psfr-11111111-{process}-{name}"}


def test_devices_and_deeply_nested_json_raise(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="not a regular file"):
        read_regular_file(Path("/dev/zero"))
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(tmp_path / "deep.json")


def test_error_contains_the_target_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        atomic_write(tmp_path / "none" / "a", b"content")
    assert str(caught.value) == f"[Errno 2] No such file or directory: '{tmp_path / 'none' / 'a'}'"


def test_hash_covers_the_whole_file(tmp_path: Path) -> None:
    content = b"x" * 3_000_000
    (tmp_path / "a").write_bytes(content)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_hash_of_a_missing_file_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none"):
        sha256_of(tmp_path / "none")
