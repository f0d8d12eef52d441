"""Test that the rules for searching folders and patterns are the same for URLs as for paths."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from psfr_core.images.folders import FoundImages, search_images
from psfr_core.images.url_folders import search_locations
from psfr_core.url_path import Location, UrlPath

pytestmark = pytest.mark.skipif(os.name == "nt", reason="URLs of the local store are made of POSIX paths")
FILES = (
    "a.jpg",
    "b.PNG",
    "odd[1].png",
    "notes.txt",
    "raw.cr2",
    ".hidden.png",
    "sub/c.png",
    "sub/deep/d.webp",
    "out/a.png",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def names(found: FoundImages[Location] | FoundImages[Path], folder: Path) -> dict[str, object]:
    def short(path: Location) -> str:
        return str(path).removeprefix("local://").removeprefix(f"{folder}/")

    return {
        "images": {short(path): str(relative) for path, relative in found.images.items()},
        "skipped": {short(path): reason for path, reason in found.skipped.items()},
        "failures": {short(path): text.replace("local://", "") for path, text in found.failures.items()},
        "others": sorted(map(short, found.others)),
        "unsearched": sorted(map(short, found.unsearched)),
    }


@pytest.mark.parametrize("recursive", [False, True])
@pytest.mark.parametrize(
    "entry", ["", "*.jpg", "*.png", "odd[1].png", "sub", "**/*.png", "*/*.png", "none", "none*", "notes.txt", "out"]
)
def test_urls_are_searched_like_paths(folder: Path, entry: str, recursive: bool) -> None:
    by_path = search_images([folder / entry], recursive=recursive, leave_out=folder / "out")
    by_url = search_locations(
        [f"local://{folder / entry}"], recursive=recursive, leave_out=UrlPath(f"local://{folder / 'out'}")
    )
    expected = names(by_path, folder)
    assert names(by_url, folder) == expected
    assert any(expected.values())


@pytest.fixture
def bucket() -> Iterator[UrlPath]:
    store = fsspec.filesystem("memory")
    for name in FILES:
        store.pipe_file(f"/bucket/{name}", b"x")
    yield UrlPath("memory://bucket")
    store.rm("/", recursive=True)


def test_paths_and_urls_can_be_mixed(folder: Path, bucket: UrlPath) -> None:
    found = search_locations([str(bucket), str(folder / "a.jpg"), f"file://{folder}/sub", f"{bucket}/a.jpg"])
    assert [str(path) for path in found.images] == [
        f"{folder}/a.jpg",
        f"{folder}/sub/c.png",
        "memory://bucket/a.jpg",
        "memory://bucket/b.PNG",
        "memory://bucket/odd[1].png",
    ]
    assert not found.failures


def test_a_store_that_refuses_access_is_a_failure(bucket: UrlPath, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PermissionError(13, "Access Denied")

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "ls", fail)
    found = search_locations([str(bucket)])
    assert found.failures == {bucket: "memory://bucket cannot be searched: Access Denied."}


def test_a_folder_with_brackets_is_taken_literally() -> None:
    store = fsspec.filesystem("memory")
    store.pipe_file("/u[1]/a.jpg", b"x")
    assert [str(path) for path in search_locations(["memory://u[1]"]).images] == ["memory://u[1]/a.jpg"]
    store.rm("/", recursive=True)
