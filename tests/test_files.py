"""Files appear under their name only when they are complete, and are known by their hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from psfr_core.files import sha256_of, write_whole


def test_new_content_replaces_the_old(tmp_path: Path) -> None:
    for content in (b"first", b"second, longer"):
        write_whole(tmp_path / "a", content)
        assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", content)]


def test_a_full_disk_leaves_the_old_content_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "a", b"new content")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(tmp_path / "none" / "a", b"content")
    assert str(caught.value) == f"[Errno 2] No such file or directory: '{tmp_path / 'none' / 'a'}'"


def test_a_hash_is_that_of_the_whole_file(tmp_path: Path) -> None:
    content = b"x" * 3_000_000
    (tmp_path / "a").write_bytes(content)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_a_hash_of_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none"):
        sha256_of(tmp_path / "none")
