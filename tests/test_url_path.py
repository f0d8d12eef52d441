"""Test files in stores: the memory store of fsspec has no rename, and its local store has one."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from psfr_core.errors import MissingPackageError, OptionError
from psfr_core.url_path import UrlPath, parse_location


@pytest.fixture(autouse=True)
def _empty_memory() -> Iterator[None]:
    yield
    fsspec.filesystem("memory").rm("/", recursive=True)


on_posix = pytest.mark.skipif(os.name == "nt", reason="URLs of the local store are made of POSIX paths")


@pytest.fixture(params=["memory", pytest.param("local", marks=on_posix)])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> UrlPath:
    return UrlPath("memory://bucket/x" if request.param == "memory" else f"local://{tmp_path}/x")


@pytest.mark.parametrize(
    "url", ["s3://bucket/a b/c.png", "local:///a/c.png", "hf://datasets/user/name@main/c.png", "gs://bucket"]
)
def test_the_text_of_a_path_is_its_url(url: str) -> None:
    path = UrlPath(url)
    assert str(path) == url
    assert str(pickle.loads(pickle.dumps(path))) == url  # noqa: S301
    assert str(path.parent / path.name) == url
    assert str(path / "sub" / "d.jpg") == f"{url}/sub/d.jpg"
    assert str((path / "sub" / "d.jpg").with_name("e.png")) == f"{url}/sub/e.png"
    assert str((path / "sub" / "d.jpg").relative_to(path)) == "sub/d.jpg"
    assert {path, UrlPath(url)} == {path}


def test_urls_and_paths_are_told_apart(tmp_path: Path) -> None:
    assert parse_location("s3://bucket/a.png") == UrlPath("s3://bucket/a.png")
    assert parse_location((tmp_path / "a b.png").as_uri()) == tmp_path / "a b.png"
    assert parse_location("a/b.png") == Path("a/b.png")
    assert isinstance(parse_location("a/b.png"), Path)
    assert parse_location(UrlPath("s3://bucket")) == UrlPath("s3://bucket")


def test_files_are_written_read_and_found(folder: UrlPath) -> None:
    assert folder.find_files() == []
    assert not folder.is_dir()
    for name in ("b.png", "a.png", "sub/c.png"):
        (folder / name).write_bytes(name.encode())
    (folder / "a.png").write_bytes(memoryview(b"new"))
    assert (folder / "a.png").read_bytes() == b"new"
    assert folder.find_files() == [folder / "a.png", folder / "b.png", folder / "sub" / "c.png"]
    assert folder.list_folder() == ([folder / "a.png", folder / "b.png"], [folder / "sub"])
    assert folder.glob("*/*.png") == [folder / "sub" / "c.png"]
    assert [(folder / name).is_file() for name in ("a.png", "none.png", "sub")] == [True, False, False]
    assert [(folder / name).is_dir() for name in ("a.png", "none.png", "sub")] == [False, False, True]
    with pytest.raises(FileNotFoundError):
        (folder / "none.png").read_bytes()


@on_posix
def test_a_file_that_cannot_be_written_completely_keeps_its_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = UrlPath(f"local://{tmp_path}/a.png")
    path.write_bytes(b"old")
    pipe_file = LocalFileSystem.pipe_file

    def fail(store: Any, name: str, data: bytes) -> None:
        pipe_file(store, name, data[:1])
        raise OSError(28, "disk full")

    monkeypatch.setattr(LocalFileSystem, "pipe_file", fail)
    with pytest.raises(OSError, match="disk full"):
        path.write_bytes(b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_errors_of_any_type_become_os_errors_with_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    class ClientError(Exception):
        pass

    def fail(*_: Any, **__: Any) -> None:
        raise ClientError("access denied")

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "cat_file", fail)
    with pytest.raises(OSError, match="memory://bucket/a.png cannot be accessed: ClientError: access denied"):
        UrlPath("memory://bucket/a.png").read_bytes()


def test_unknown_stores_and_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="xyz://a cannot be accessed: Protocol not known: xyz"):
        UrlPath("xyz://a").is_file()

    def fail(_: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", fail)
    with pytest.raises(MissingPackageError, match="s3://bucket cannot be accessed: Install s3fs to access S3"):
        UrlPath("s3://bucket").is_dir()


def test_a_file_of_another_machine_is_refused() -> None:
    assert (
        parse_location("file://localhost/photos/a.jpg")
        == parse_location("file:///photos/a.jpg")
        == Path("/photos/a.jpg")
    )
    with pytest.raises(OptionError, match=r"names the machine 'photos'.*file:///photos/a.jpg"):
        parse_location("file://photos/a.jpg")


class KeepsExistingFiles(LocalFileSystem):
    """A store that keeps existing files. It raises an error, as SMB does, or no error, as HDFS does."""

    raises = False

    def mv(self, path1: str, path2: str, recursive: bool = False, maxdepth: int | None = None, **options: Any) -> None:
        if not self.exists(path2):
            super().mv(path1, path2)
        elif self.raises:
            raise FileExistsError(errno.EEXIST, "exists", path2)


@on_posix
@pytest.mark.parametrize("raises", [False, True])
def test_files_are_replaced_in_stores_that_keep_existing_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raises: bool
) -> None:
    monkeypatch.setattr(KeepsExistingFiles, "raises", raises)
    path = UrlPath(f"local://{tmp_path}/a.txt")
    monkeypatch.setattr("fsspec.core.url_to_fs", lambda url: (KeepsExistingFiles(), str(tmp_path / "a.txt")))
    path.write_bytes(b"old")
    path.write_bytes(b"new")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.txt", b"new")]
