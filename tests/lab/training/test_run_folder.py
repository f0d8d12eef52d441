from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from psfr_core.errors import TrainingError
from psfr_core.lab.training.environment import describe_commit
from psfr_core.lab.training.recipe import ParserRecipe
from psfr_core.lab.training.recipe_file import read_recipes
from psfr_core.lab.training.run_folder import (
    append_row,
    drop_rows_after,
    fingerprints,
    is_finished,
    record_end,
    record_run,
)

from .recipes import FACES, FOLDERS, LOOP, small_parser


def recipe(**loop: Any) -> ParserRecipe:
    return small_parser(loop=replace(LOOP, steps=10, batch_size=4, **loop))


def checkpointed(folder: Path) -> Path:
    record_run(folder, recipe(), {"device": "cpu"})
    (folder / "checkpoint.pt").touch()
    return folder


def runs(folder: Path) -> list[dict[str, str]]:
    return json.loads((folder / "runs.json").read_text())["runs"]


def test_a_resumed_run_is_appended(tmp_path: Path) -> None:
    later = replace(recipe(workers=2), license="MIT")
    record_run(checkpointed(tmp_path), later, {"device": "cuda"})
    assert read_recipes(tmp_path / "recipe.yaml") == {"recipe": later}
    assert runs(tmp_path) == [{"device": "cpu"}, {"device": "cuda"}]
    assert not is_finished(tmp_path, later)
    record_end(tmp_path)
    assert is_finished(tmp_path, later)
    assert not is_finished(tmp_path, recipe())


def test_other_recipes_are_rejected_with_the_changed_fields(tmp_path: Path) -> None:
    checkpointed(tmp_path)
    before = (tmp_path / "recipe.yaml").read_bytes()
    other = replace(recipe(seed=3, log_every=7), start_from="x")
    with pytest.raises(
        TrainingError, match=r'loop\.seed was 0, is 3; start_from was not set, is "x"\. Restore the former values'
    ):
        record_run(tmp_path, other, {})
    assert (tmp_path / "recipe.yaml").read_bytes() == before


def test_changed_data_in_the_same_folder_are_rejected(tmp_path: Path) -> None:
    faces = tmp_path / "faces"
    shutil.copytree(FACES, faces)
    named = replace(recipe(), data=replace(FOLDERS, faces=(faces,)))
    record_run(tmp_path / "run", named, {})
    (tmp_path / "run" / "checkpoint.pt").touch()
    next(faces.iterdir()).unlink()
    with pytest.raises(TrainingError, match=r'data\.faces was "4 files, sha256 .*", is "3 files, sha256 '):
        record_run(tmp_path / "run", named, {})


def test_a_replaced_face_is_noticed_and_a_hidden_file_is_not(tmp_path: Path) -> None:
    shutil.copytree(FACES, tmp_path / "faces")
    named = replace(recipe(), data=replace(FOLDERS, faces=(tmp_path / "faces",)))
    record_run(tmp_path / "run", named, {})
    record_end(tmp_path / "run")
    (tmp_path / "faces" / ".DS_Store").write_bytes(b"hidden")
    assert is_finished(tmp_path / "run", named)
    face = next(path for path in (tmp_path / "faces").iterdir() if path.suffix == ".jpg")
    face.write_bytes(face.read_bytes() + b" ")
    assert not is_finished(tmp_path / "run", named)


def test_any_field_may_change_without_a_checkpoint(tmp_path: Path) -> None:
    record_run(tmp_path, recipe(), {})
    record_run(tmp_path, recipe(seed=8), {})
    record_end(tmp_path)
    assert is_finished(tmp_path, recipe(seed=8))
    assert len(runs(tmp_path)) == 1


@pytest.mark.parametrize("name", ["recipe.yaml", "runs.json"])
@pytest.mark.parametrize("content", [None, b"{", b'{"steps": 3', b"3", b"\xff\xfe"])
def test_a_checkpoint_of_unknown_origin_is_rejected(tmp_path: Path, name: str, content: bytes | None) -> None:
    path = checkpointed(tmp_path) / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match=rf"{name} does not describe the run of the checkpoint .*version 0\.3"):
        record_run(tmp_path, recipe(), {})


def test_deeply_nested_runs_are_rejected(tmp_path: Path) -> None:
    (checkpointed(tmp_path) / "runs.json").write_bytes(b"[" * 100_000)
    with pytest.raises(TrainingError, match=r"runs\.json does not describe .* nested too deeply"):
        record_run(tmp_path, recipe(), {})


def test_fingerprints_of_models_files_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"")
    empty = "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    named = {"data": {"faces": [str(tmp_path), str(tmp_path / "none")]}, "teacher": str(tmp_path / "a"), "steps": "a"}
    listing = hashlib.sha256(b"a 0\n").hexdigest()[:16]
    faces = f"1 files, sha256 {listing} of their names and sizes"
    assert fingerprints(named) == {"data.faces": faces, "teacher": empty}

    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(TrainingError, match=r"a is named in the recipe and cannot be read \(Permission denied\)"):
        fingerprints(named)


def test_an_empty_csv_file_gets_a_header(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.touch()  # a full disk leaves an empty file
    drop_rows_after(path, 3)
    append_row(path, {"step": 4, "total": 0.5})
    assert path.read_text().splitlines() == ["step,total", "4,0.5"]


def test_rows_of_later_steps_and_incomplete_rows_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    drop_rows_after(path, 3)  # a missing file is not an error
    for step in (2, 4, 1_234_567):
        append_row(path, {"step": step, "total": 1 / step})
    assert path.read_text().splitlines() == ["step,total", "2,0.5", "4,0.25", "1234567,8.10001e-07"]
    with path.open("a") as file:
        file.write("3,0.")
    drop_rows_after(path, 4)
    assert path.read_text().splitlines() == ["step,total", "2,0.5", "4,0.25"]
    drop_rows_after(path, 1)
    assert not path.exists()


@pytest.mark.parametrize("line", ["garbage", "", "4.5,0.1", "-1,0", "9" * 5000, "\0\0\0\0,1"])
def test_a_line_that_is_not_a_row_is_an_error(tmp_path: Path, line: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text(f"step,total\n2,0.5\n{line}\n4,0.25\n")
    before = path.read_bytes()
    with pytest.raises(TrainingError, match=r"Line 3 of .*log\.csv does not begin with the number of a step: "):
        drop_rows_after(path, 3)
    assert path.read_bytes() == before


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def test_the_recorded_commit_is_that_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, installed = tmp_path / "code.py", tmp_path / "installed.py"
    for path in (file, installed):
        path.write_text("1")
    assert describe_commit(file) == {"commit": None, "changed": None}
    git(tmp_path, "init")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-m", "a")
    assert describe_commit(file) == {"commit": git(tmp_path, "rev-parse", "HEAD"), "changed": False}
    file.write_text("2")
    assert describe_commit(file)["changed"] is True
    # git does not track this file, so the repository around it may belong to another project
    assert describe_commit(installed) == {"commit": None, "changed": None}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe_commit(file) == {"commit": None, "changed": None}
