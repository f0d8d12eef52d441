"""Test the search for images in files, folders and patterns, and its report on all other entries."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from psfr_core.errors import ImageFileError
from psfr_core.images.folders import find_images, search_images, sort_frames

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no FIFOs, and links need privileges")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def relative_paths(folder: Path, *inputs: str, recursive: bool = False) -> list[str]:
    found = search_images([folder / entry for entry in inputs], recursive=recursive)
    return [path.as_posix() for path in found.images.values()]


def test_images_of_folders_are_sorted(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a.JPG", "note.txt", ".hidden.png", "sub/c.webp", "odd[1].png")
    assert [path.relative_to(tmp_path).as_posix() for path in find_images([tmp_path])] == [
        "a.JPG",
        "b.png",
        "odd[1].png",
    ]
    given = [tmp_path / "b.png", f"{tmp_path}/**/*.webp", tmp_path, f"{tmp_path}/sub/../b.png", tmp_path / "odd[1].png"]
    assert [path.name for path in find_images(given)] == ["b.png", "c.webp", "a.JPG", "odd[1].png"]


def test_entries_that_are_not_read_are_listed_by_kind(tmp_path: Path) -> None:
    touch(tmp_path, "a.jfif", "b.TGA", "c.heic", "d.cr2", "note.txt", "a.xmp", ".hidden.heic", "sub/e.png", "out/a.png")
    found = search_images([tmp_path], leave_out=tmp_path / "out")
    assert [path.name for path in found.images] == ["a.jfif", "b.TGA"]
    assert [path.name for path in found.skipped] == ["c.heic", "d.cr2"]
    assert "pillow-heif" in found.skipped[tmp_path / "c.heic"]
    assert [path.name for path in found.others] == ["a.xmp", "note.txt"]
    assert found.unsearched == [tmp_path / "sub"]
    assert found.failures == {}


def test_skipped_images_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "a.png", "c.heic")
    assert find_images([tmp_path]) == [tmp_path / "a.png"]
    assert f"{tmp_path / 'c.heic'} is skipped: .heic files need the package pillow-heif" in caplog.text


def test_sidecar_files_are_read_only_if_given_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a.xmp", "b.PNG")
    assert relative_paths(tmp_path, "*") == ["a.jpg", "b.PNG"]
    assert relative_paths(tmp_path, "a.xmp") == ["a.xmp"]
    with pytest.raises(ImageFileError, match=r"\*\.xmp contains no image"):
        find_images([tmp_path / "*.xmp"])


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("[2001] trip/*.png", ["p.png"]),
        ("[2001] trip/[pq].png", ["p.png"]),
        ("[2001] trip", ["p.png"]),
        ("*/[x]/q.png", ["q.png"]),
        ("**/[x]/*.png", ["y/[x]/q.png"]),
        ("[2001] */*.png", []),
        ("2/*.png", ["digit.png"]),
        ("[12]/*.png", ["digit.png"]),
    ],
)
def test_existing_names_with_brackets_are_taken_literally(tmp_path: Path, entry: str, expected: list[str]) -> None:
    touch(tmp_path, "[2001] trip/p.png", "y/[x]/q.png", "y/x/r.png", "2/digit.png")
    assert relative_paths(tmp_path, entry) == expected


def test_recursive_searches_keep_the_folder_structure(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png", "in/x/b.png", "in/x/y/c.png", "in/.git/d.png", "in/out/e.png")
    found = search_images([tmp_path / "in"], recursive=True, leave_out=tmp_path / "in/out")
    assert [path.as_posix() for path in found.images.values()] == ["a.png", "x/b.png", "x/y/c.png"]
    assert relative_paths(tmp_path, "in/**/*.png") == ["a.png", "out/e.png", "x/b.png", "x/y/c.png"]
    assert relative_paths(tmp_path, "in/*/*.png") == ["e.png", "b.png"]
    assert relative_paths(tmp_path, "in/x/**") == ["b.png", "y/c.png"]


@posix_only
def test_links_pipes_and_loops_are_reported(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png")
    os.mkfifo(tmp_path / "in/pipe.png")
    (tmp_path / "in/gone.png").symlink_to("nowhere.png")
    (tmp_path / "in/self.png").symlink_to("self.png")
    (tmp_path / "in/up").symlink_to("..")
    found = search_images([tmp_path / "in"], recursive=True)
    assert {path.name for path in found.images} == {"a.png"}
    reasons = {path.name: reason for path, reason in found.skipped.items()}
    assert reasons["pipe.png"] == "not a regular file"
    assert reasons["gone.png"] == reasons["self.png"] == "a broken link"
    named = search_images([tmp_path / "in" / name for name in ("pipe.png", "self.png", "gone.png", "a.png")])
    assert [path.name for path in named.images] == ["a.png"]
    assert "pipe.png is not a regular file" in named.failures[tmp_path / "in/pipe.png"]
    assert "self.png is a broken link" in named.failures[tmp_path / "in/self.png"]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("none.png", r"none\.png does not exist"),
        ("empty", r"empty contains no image"),
        ("*.png", r"\*\.png contains no image"),
        ("empty/none/*.png", r"\*\.png contains no image"),
        ("[x]/none.png", r"none\.png contains no image|none\.png does not exist"),
        ("a\0.png", "does not exist"),
    ],
)
def test_input_without_images_does_not_stop_the_search(tmp_path: Path, entry: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "good.jpg")
    found = search_images([tmp_path / entry, tmp_path / "good.jpg"])
    assert [path.name for path in found.images] == ["good.jpg"]
    assert list(found.failures) == [tmp_path / entry]
    with pytest.raises(ImageFileError, match=words):
        find_images([tmp_path / entry])


def test_folder_without_permission_does_not_stop_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "open/a.png", "closed/b.png")
    entries = Path.iterdir

    def refuse(folder: Path) -> object:
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return entries(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    found = search_images([tmp_path / "closed", tmp_path], recursive=True)
    assert [path.name for path in found.images] == ["a.png"]
    assert found.failures == {tmp_path / "closed": f"{tmp_path / 'closed'} cannot be searched: Permission denied."}


def test_frames_are_sorted_by_number_in_each_folder(tmp_path: Path) -> None:
    names = ["b/frame 1.png", "b/frame 10.png", "b/frame 2.png", "a/2x10.png", "a/2x9.png", "a/02.png"]
    paths = [tmp_path / name for name in names]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = sort_frames(search_images([tmp_path / "b", tmp_path / "a"]))
    expected = ["b/frame 1.png", "b/frame 2.png", "b/frame 10.png", "a/02.png", "a/2x9.png", "a/2x10.png"]
    assert [path.relative_to(tmp_path).as_posix() for path in found.images] == expected
